"""Server processes for the tests: started from the command line, watched through procfs, and never left over."""

import http.client
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[1]
PATIENCE_S = 30.0


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def eventually(condition: Callable[[], bool], what: str) -> None:
    last = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > last:
            raise AssertionError(f"Expected within {PATIENCE_S} s: {what}.")
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server process; `log` is what it has written."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def ask(self, path: str = "/") -> int:
        """The pid of the worker that answers on a new connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            assert answer.status == 200
            return int(answer.read())
        finally:
            connection.close()

    def workers(self) -> set[int]:
        """The pids of its children."""
        pid = self.process.pid
        return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()}

    def said(self, words: str) -> bool:
        return words in self.log.read_text(encoding="utf-8")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(timeout=PATIENCE_S)


@contextmanager
def running(folder: Path, *command: str, port: int, until: str = "accept") -> Iterator[Server]:
    """A server process that has said that it accepts calls; nothing of it is left afterwards."""
    log = folder / "log"
    with ExitStack() as stack:
        file: IO[bytes] = stack.enter_context(log.open("wb"))
        process = subprocess.Popen([sys.executable, *command], stdout=file, stderr=file, cwd=ROOT)
        server = Server(process=process, port=port, log=log)
        try:
            eventually(lambda: server.said(until) or process.poll() is not None, f"{until!r} in the log")
            yield server
        finally:
            children = server.workers() if process.poll() is None else set()
            process.kill()
            process.wait(timeout=PATIENCE_S)
            for child in children:
                eventually(lambda pid=child: not is_running(pid), "no orphan")  # type: ignore[misc]
