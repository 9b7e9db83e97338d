"""A journal that keeps nothing, to measure what the real one costs.

The product has no such thing: there, no card leaves before its row is committed.
"""

from concurrent.futures import Future
from types import TracebackType
from typing import Self

from serving.journal_entries import Entry


class MemoryJournal:
    """Acknowledges at once. `entries` counts what came, so that a measurement can say that all calls got here."""

    def __init__(self) -> None:
        self.entries = 0

    async def record(self, *entries: Entry) -> None:
        """Count them."""
        self.entries += len(entries)

    def submit(self, *entries: Entry) -> Future[None]:
        """As ``record``, for threads."""
        self.entries += len(entries)
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def close(self) -> None:
        """Nothing is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
