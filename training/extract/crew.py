"""A crew does the tasks of a job: what all kinds of crews have in common."""

from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Protocol, Self, TypeVar

from training.dataset import DatasetError

Task = TypeVar("Task")
Result = TypeVar("Result")


class CrewError(DatasetError):
    """The tasks cannot be done; the message says what to do."""


class Crew(Protocol):
    """Does tasks; used as a context.

    Attributes:
        workers: how many tasks are done at once.
        is_here: whether tasks are done in this very process.
    """

    workers: int
    is_here: bool

    def run(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        """The result of each task, in the order in which they are done.

        Raises:
            CrewError: workers were lost too often, or cannot be reached.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
