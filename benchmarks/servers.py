"""Server processes under test: started, waited for, measured and ended."""

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from benchmarks.load import HOST

START_LIMIT_S, STOP_LIMIT_S, POLL_S = 120.0, 10.0, 0.005
QUOTED_CHARACTERS = 600  # of what a server that did not start had written
# One thread for every native pool: unset, they fight over the cores. Every server here serves with one worker.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class ServerError(RuntimeError):
    """A server did not start; the message quotes the end of its output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running server.

    Attributes:
        port: on the loopback.
        start_s: from the start of its process to its first good answer.
    """

    process: subprocess.Popen[bytes]
    port: int
    start_s: float

    @property
    def resident_mb(self) -> float:
        """Resident memory of all its processes, in 10^6 bytes; pages that they share count for each of them."""
        return sum(resident_bytes(pid) for pid in (self.process.pid, *descendants(self.process.pid))) / 1e6


@contextmanager
def running(
    command: Sequence[str],
    *,
    ready: str,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    cpus: Sequence[int] = (),
) -> Iterator[Server]:
    """Start a server, yield it once it answers, end it and all its processes.

    Args:
        command: `{port}` in it stands for a free port, `{port2}` and `{port3}` for others.
        ready: the path that answers a GET with 200 once it serves.
        folder: where it runs.
        environment: set beside this process's; the ports may stand in it too.
        cpus: the processors that it may use; by default all.

    Raises:
        ServerError: it ended, or did not answer in time.
    """
    ports = {f"{{{name}}}": str(free_port()) for name in ("port", "port2", "port3")}
    port = int(ports["{port}"])
    surroundings = {name: _filled(value, ports) for name, value in (environment or {}).items()}
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            [_filled(part, ports) for part in command],
            cwd=folder,
            env=_environment() | ONE_THREAD | surroundings,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a process group of its own, to be ended whole
        )
        try:
            if cpus:
                os.sched_setaffinity(process.pid, cpus)
            _wait(process, port, ready, output)
            yield Server(process=process, port=port, start_s=time.perf_counter() - start)
        finally:
            _end(process)


def _environment() -> dict[str, str]:
    """This process's, with compiled bytecode kept, as an installed server has it; without, a start compiles anew."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        port: int = free.getsockname()[1]
    return port


def _filled(part: str, ports: Mapping[str, str]) -> str:
    for name, port in ports.items():
        part = part.replace(name, port)
    return part


def _wait(process: subprocess.Popen[bytes], port: int, ready: str, output: IO[bytes]) -> None:
    last = time.perf_counter() + START_LIMIT_S
    while not _answers(port, ready):
        if process.poll() is not None:
            raise ServerError(f"The server ended with status {process.returncode}: {_end_of(output)}")
        if time.perf_counter() > last:
            raise ServerError(f"The server did not answer GET {ready} within {START_LIMIT_S:g} s: {_end_of(output)}")
        time.sleep(POLL_S)


def _answers(port: int, path: str) -> bool:
    request = f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode("ascii")
    try:
        with socket.create_connection((HOST, port), timeout=5) as connection:
            connection.sendall(request)
            return b" 200 " in connection.recv(64)
    except OSError:  # not yet: nobody listens, or the connection was dropped
        return False


def _end_of(output: IO[bytes]) -> str:
    output.seek(0)
    return output.read().decode(errors="replace")[-QUOTED_CHARACTERS:].strip()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the server to end, then make sure that none of its processes is left."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_LIMIT_S)
    with suppress(ProcessLookupError):  # all have ended by themselves
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(STOP_LIMIT_S)


def resident_bytes(pid: int | None = None) -> int:
    """Resident memory of a process, by default this one, from Linux's statm; 0 for one that has just ended."""
    try:
        pages = Path(f"/proc/{pid or 'self'}/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def descendants(pid: int) -> list[int]:
    """A process's children, theirs, and so on."""
    found: list[int] = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # the thread has ended meanwhile
            for child in map(int, children.read_text(encoding="ascii").split()):
                found += [child, *descendants(child)]
    return found
