"""Crews: who does the tasks of a job. Alone or in processes here; `training.extract.cluster` has them on Dask."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from importlib.util import find_spec
from types import TracebackType
from typing import Self

from training.extract.crew import Crew, CrewError, Result, Task

ATTEMPTS = 3  # a process that the system ends, mostly for want of memory, is replaced so often


class Alone:
    """This process does everything."""

    workers = 1
    is_here = True

    def run(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        """The results in the order of the tasks."""
        return map(function, tasks)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Processes:
    """Processes of this machine.

    Args:
        workers: how many.
    """

    is_here = False

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def run(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        """The results as they come; what a process was at when it was lost is done once more."""
        left = dict(enumerate(tasks))
        for _ in range(ATTEMPTS):
            try:
                yield from self._run(function, left)
            except BrokenProcessPool:
                self._end()
            else:
                return
        raise CrewError(
            f"A worker process was ended by the system {ATTEMPTS} times, {len(left)} of {len(tasks)} tasks were left: "
            "probably memory is short. Give --memory less, or use fewer --workers."
        )

    def _run(self, function: Callable[[Task], Result], left: dict[int, Task]) -> Iterator[Result]:
        pool = self._started()
        futures: dict[Future[Result], int] = {pool.submit(function, task): number for number, task in left.items()}
        for future in as_completed(futures):
            number = futures.pop(future)
            result = future.result()
            del left[number]
            yield result

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # Spawned: a fork of a process with threads (progress bars, Arrow) may hang.
            self._pool = ProcessPoolExecutor(self.workers, mp_context=multiprocessing.get_context("spawn"))
        return self._pool

    def _end(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def crew_for(workers: int | None = None, scheduler: str | None = None) -> Crew:
    """The crew for a number of processes here, by default one per core, or for a Dask scheduler.

    Raises:
        CrewError: Dask is not installed.
    """
    if scheduler is not None:
        if find_spec("distributed") is None:
            raise CrewError("--scheduler needs Dask: pip install 'bedside[cluster]', here and on every worker.")
        from training.extract.cluster import Cluster  # noqa: PLC0415 - an optional extra

        return Cluster(scheduler)
    count = cores() if workers is None else workers
    return Alone() if count == 1 else Processes(count)
