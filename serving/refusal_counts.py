"""Refusal counts: what was refused before any service saw it, counted, and handed to the journal once a minute.

Anyone can send what is refused, as fast as the network allows. So refusals are counted by kind, of which there are
few, and a minute costs at most one entry for each kind, whatever came. Decision 0014.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol

from cds_hooks.refusal import Refusal
from serving.journal_entries import RefusalEntry
from serving.journal_errors import JournalError

PERIOD_S: Final = 60.0

_logger = logging.getLogger("bedside.refusals")


class RefusalRecorder(Protocol):
    """What is asked of a journal."""

    async def record(self, *entries: RefusalEntry) -> None:
        """Record entries as one unit, all or none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Count:
    first_at: datetime
    last_at: datetime
    count: int


class RefusalCounts:
    """The counts of one process, for one event loop; to be closed before the journal is.

    A process that is killed takes at most PERIOD_S of counts with it; each refused token is in the log besides.
    """

    def __init__(self, journal: RefusalRecorder, *, clock: Callable[[], datetime], period_s: float = PERIOD_S) -> None:
        """`clock`: the time now, aware UTC; `period_s`: how long counts are gathered before they are recorded."""
        self._journal = journal
        self._clock = clock
        self._period_s = period_s
        self._counts: dict[Refusal, _Count] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._recording: asyncio.Task[None] | None = None

    def add(self, refusal: Refusal) -> None:
        """Count one; returns at once."""
        now = self._clock()
        before = self._counts.get(refusal)
        self._counts[refusal] = (
            _Count(first_at=now, last_at=now, count=1)
            if before is None
            else replace(before, last_at=now, count=before.count + 1)
        )
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._period_s, self._start)

    async def close(self) -> None:
        """Record what is left. The journal must still be open."""
        if self._timer is not None:
            self._timer.cancel()
        if self._recording is not None:
            await self._recording
        await self._record()

    def _start(self) -> None:
        self._timer = None
        self._recording = asyncio.get_running_loop().create_task(self._record())

    async def _record(self) -> None:
        counts, self._counts = self._counts, {}
        if not counts:
            return
        try:
            await self._journal.record(*(_entry(refusal, count) for refusal, count in counts.items()))
        except JournalError:
            lost = sum(count.count for count in counts.values())
            _logger.exception("refusals_not_recorded", extra={"refusals": lost})


def _entry(refusal: Refusal, count: _Count) -> RefusalEntry:
    return RefusalEntry(
        first_at=count.first_at,
        last_at=count.last_at,
        at=refusal.at,
        http_status=refusal.status,
        error_code=refusal.code,
        count=count.count,
        service_id=refusal.service_id,
        client=refusal.client,
    )
