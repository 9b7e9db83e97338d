"""A crew on a Dask cluster: the same tasks, sent to a scheduler. The only file that knows Dask."""

from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self

from distributed import Client, as_completed
from distributed.scheduler import KilledWorker

from training.extract.crew import CrewError, Result, Task

SECONDS_TO_CONNECT = 30
RETRIES = 2  # of a task that raised; those of lost workers are done again by Dask itself


class Cluster:
    """The workers of a Dask scheduler.

    Every worker needs this version of Bedside, one thread (`dask worker --nthreads 1`), and must see the source and
    the folder of the target under the same paths.

    Args:
        address: of the scheduler, such as tcp://head:8786.
    """

    is_here = False

    def __init__(self, address: str) -> None:
        self._address = address
        self._client: Client | None = None
        self.workers = 1

    def run(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        """The results as they come; tasks of a lost worker are done by another."""
        if self._client is None:
            raise CrewError("A cluster is used as a context: with Cluster(address) as crew.")
        futures = self._client.map(function, list(tasks), pure=False, retries=RETRIES)
        try:
            for _, result in as_completed(futures, loop=self._client.loop, with_results=True):
                yield result
        except KilledWorker as error:
            raise CrewError(
                "A task's workers were lost again and again: probably their memory is short. Give --memory less, or "
                "the workers more."
            ) from error
        finally:
            self._client.cancel(futures)  # what is left where the others are of no use any more

    def __enter__(self) -> Self:
        try:
            self._client = Client(self._address, timeout=SECONDS_TO_CONNECT, set_as_default=False)
            self._client.wait_for_workers(1, timeout=SECONDS_TO_CONNECT)
        except (OSError, TimeoutError, ValueError) as error:
            self._close()
            raise CrewError(f"{self._address}: expected a Dask scheduler with workers: {error}") from error
        self.workers = len(self._client.scheduler_info(n_workers=-1)["workers"])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
