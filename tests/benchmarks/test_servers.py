"""Server processes: started, measured, and all of them ended."""

import socket
import sys
import time
from pathlib import Path

import pytest

from benchmarks.load import HOST
from benchmarks.servers import ServerError, descendants, resident_bytes, running

SERVE = (sys.executable, "-m", "http.server", "{port}", "--bind", HOST)
# A server that has a child which would outlive it.
PARENT = "import subprocess, sys; subprocess.Popen(['sleep', '60']); subprocess.run(sys.argv[1:])"


def runs(pid: int) -> bool:
    """Whether a process is there and not merely unburied, a second after it was killed at the latest."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
        except OSError:
            return False
        if state == "Z":
            return False
        time.sleep(0.01)
    return True


def test_a_server_is_yielded_once_it_answers_and_its_port_is_free_afterwards() -> None:
    with running(SERVE, ready="/") as server:
        assert server.start_s > 0
        assert server.resident_mb > 1
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind((HOST, server.port))


def test_the_memory_of_all_its_processes_counts_and_none_is_left() -> None:
    with running((sys.executable, "-c", PARENT, *SERVE), ready="/") as server:
        alone = resident_bytes(server.process.pid) / 1e6
        assert server.resident_mb > alone
        children = descendants(server.process.pid)
    assert len(children) == 2
    assert [pid for pid in (server.process.pid, *children) if runs(pid)] == []


def test_one_that_ends_says_why() -> None:
    command = (sys.executable, "-c", "raise SystemExit('no such model')")
    with pytest.raises(ServerError, match="no such model"), running(command, ready="/"):
        pytest.fail("It did not start.")
