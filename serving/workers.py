"""Workers: one process loads and proves everything, then forks those that answer and share its memory.

The parent watches its workers, replaces one that dies, and ends them all when it is told to end; a worker whose
parent is gone ends by itself. How many to take, and what they share: docs/serving.md.
"""

import asyncio
import contextlib
import gc
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from serving.listening import BACKLOG, GRACE_S, STOPPING, Sockets, Tls, addresses, configuration, leave, logger

# Deaths within RECENT_S count: the first is made good at once, each further one after twice the wait before.
RECENT_S: Final = 60.0
FIRST_WAIT_S: Final = 0.5
LONGEST_WAIT_S: Final = 30.0
# What a worker may take after its grace to write and close the journal, before it is killed.
CLOSING_S: Final = 5.0
TASKS: Final = Path("/proc/self/task")


class WorkersError(Exception):
    """The workers cannot be started, or did not end in order; the message says what to do."""


def serve_with_workers(app: ASGIApp, sockets: Sockets, *, workers: int, tls: Tls | None = None) -> None:
    """Answer calls with so many forked processes until SIGTERM or SIGINT comes.

    Args:
        app: built and loaded, without threads and connections: each worker makes its own after the fork.
        sockets: bound, not listening. All workers accept from them, so that a call waits for none of them alone.
        workers: 1 or more.
        tls: with what they end TLS; None: they speak plain HTTP.

    Raises:
        ListenError: the certificate or its key cannot be used.
        WorkersError: this system cannot fork, a thread is running, a worker died before all accepted calls, or one
            did not end in order.
    """
    if sys.platform == "darwin" or "fork" not in multiprocessing.get_all_start_methods():
        raise WorkersError(
            f"--workers: expected a system on which a process can safely be forked; this is {sys.platform}. Start "
            "several servers, each on a port of its own, and put a proxy before them."
        )
    # One connection at a time: by default asyncio accepts all that wait, and one worker would have them all.
    config = configuration(app, backlog=1, tls=tls)
    _require_one_thread()
    # Frozen first, for a collection writes into what it looks at, and a page that is written is no longer shared.
    gc.collect()
    gc.freeze()
    try:
        _Supervisor(config, sockets).run(workers)
    finally:
        gc.unfreeze()


def wait_s(recent_deaths: int) -> float:
    """Seconds before a worker is replaced, when so many died within RECENT_S, this one included."""
    if recent_deaths <= 1:
        return 0.0
    doublings = min(recent_deaths - 2, int(LONGEST_WAIT_S / FIRST_WAIT_S))  # enough, and no overflow
    return min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0**doublings)


def _require_one_thread() -> None:
    """A fork takes along one thread alone: a lock that another one holds stays locked for ever."""
    if not TASKS.is_dir():
        return  # only procfs tells of the threads of native libraries
    names = [(task / "comm").read_text(encoding="utf-8").strip() for task in TASKS.iterdir()]
    if len(names) != 1:
        raise WorkersError(
            f"--workers: expected one thread before the workers are forked, found {len(names)} ({', '.join(names)}). "
            "Find which library started them, or serve with one worker."
        )


@dataclass(slots=True, kw_only=True, eq=False)
class _Worker:
    process: BaseProcess
    started: Connection  # brings one message when the worker accepts calls
    accepts: bool = False

    def ending(self) -> str:
        status = self.process.exitcode or 0
        return f"killed by {signal.Signals(-status).name}" if status < 0 else f"status {status}"


class _Supervisor:
    """The parent's side of all workers."""

    def __init__(self, config: uvicorn.Config, sockets: Sockets) -> None:
        self._config = config
        self._sockets = sockets
        self._workers: list[_Worker] = []
        self._deaths: deque[float] = deque()
        self._due: list[float] = []  # when replacements are to be started
        self._complete = False  # whether all workers have accepted calls at once
        self._stop, self._stopper = multiprocessing.Pipe(duplex=False)
        # Never written to: its end tells the workers that their parent is gone, however it went.
        self._parent, self._parent_alive = multiprocessing.Pipe(duplex=False)

    def run(self, workers: int) -> None:
        before = {number: signal.signal(number, self._tell_to_stop) for number in STOPPING}
        try:
            for _ in range(workers):
                self._start()
            self._watch(workers)
        finally:
            left = self._end()
            for number, handler in before.items():
                signal.signal(number, handler)
            for pipe in (self._stop, self._stopper, self._parent, self._parent_alive):
                pipe.close()
        if left:
            raise WorkersError(f"Expected every worker to end in order: {'; '.join(left)}.")

    def _tell_to_stop(self, number: int, _: FrameType | None) -> None:
        self._stopper.send_bytes(signal.Signals(number).name.encode())

    def _start(self) -> None:
        started, tell_started = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.get_context("fork").Process(target=self._work, args=(tell_started,), daemon=True)
        # Held back until the child has handlers of its own: with the parent's it would tell the parent to stop.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        tell_started.close()
        self._workers.append(_Worker(process=process, started=started))

    def _work(self, started: Connection) -> None:
        """What a worker does, from its first instruction to its last."""
        for number in STOPPING:
            signal.signal(number, leave)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        self._parent_alive.close()
        _Server(self._config, started=started, parent=self._parent).run(sockets=list(self._sockets))

    def _watch(self, workers: int) -> None:
        while True:
            found = wait(list(self._awaited()), timeout=self._until_due())
            if self._stop in found:
                logger.info("Told to stop by %s", self._stop.recv_bytes().decode())
                return
            for worker in list(self._workers):
                if worker.started in found:
                    self._note_start(worker)
                if worker.process.sentinel in found:
                    self._note_death(worker)
            if not self._complete and sum(worker.accepts for worker in self._workers) == workers:
                self._complete = True
                logger.info("%d workers accept calls on %s", workers, addresses(self._sockets))
            self._start_due()

    def _awaited(self) -> Iterator[Connection | int]:
        yield self._stop
        for worker in self._workers:
            yield worker.process.sentinel
            if not worker.started.closed:
                yield worker.started

    def _note_start(self, worker: _Worker) -> None:
        with contextlib.suppress(EOFError), worker.started:  # at the end of file it died, as the sentinel will tell
            worker.started.recv_bytes()
            worker.accepts = True
            if self._complete:
                logger.info("Worker %d accepts calls", worker.process.pid)

    def _note_death(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.process.join()
        worker.started.close()
        if not self._complete:
            raise WorkersError(
                f"A worker ended ({worker.ending()}) before all accepted calls. Its log says why; nothing is served."
            )
        now = time.monotonic()
        self._deaths.append(now)
        while now - self._deaths[0] > RECENT_S:
            self._deaths.popleft()
        seconds = wait_s(len(self._deaths))
        self._due.append(now + seconds)
        logger.error("Worker %d died (%s); replaced in %.1f s", worker.process.pid, worker.ending(), seconds)

    def _until_due(self) -> float | None:
        return max(0.0, min(self._due) - time.monotonic()) if self._due else None

    def _start_due(self) -> None:
        now = time.monotonic()
        for _ in [due for due in self._due if due <= now]:
            self._start()
        self._due = [due for due in self._due if due > now]

    def _end(self) -> list[str]:
        """End all workers; tells of those that did not end in order."""
        for listener in self._sockets:
            listener.close()  # the workers close theirs: from then on calls are refused, not left waiting
        for worker in self._workers:
            worker.process.terminate()
        last = time.monotonic() + GRACE_S + CLOSING_S
        for worker in self._workers:
            worker.process.join(max(0.0, last - time.monotonic()))
            worker.started.close()
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        return [f"worker {worker.process.pid} {worker.ending()}" for worker in self._workers if worker.process.exitcode]


class _Server(uvicorn.Server):
    """One worker's HTTP server: says when it accepts calls, and ends when its parent has ended."""

    def __init__(self, config: uvicorn.Config, *, started: Connection, parent: Connection) -> None:
        super().__init__(config)
        self._started = started
        self._parent = parent

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        for listener in sockets or ():
            listener.listen(BACKLOG)  # of the system; the backlog of asyncio is how many it accepts in one go
        asyncio.get_running_loop().add_reader(self._parent.fileno(), self._end_with_parent)
        with self._started, contextlib.suppress(BrokenPipeError):  # no parent any more: the reader above ends us
            self._started.send_bytes(b"accepts")

    def _end_with_parent(self) -> None:
        asyncio.get_running_loop().remove_reader(self._parent.fileno())
        logger.error("Worker %d ends: its parent is gone", os.getpid())
        self.should_exit = True
