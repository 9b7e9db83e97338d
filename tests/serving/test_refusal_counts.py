"""Refusal counts: nothing that was refused is forgotten, and no flood of it fills the disk."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cds_hooks.refusal import Refusal
from serving.journal import Journal
from serving.journal_entries import RefusalEntry
from serving.journal_errors import JournalUnavailable
from serving.refusal_counts import RefusalCounts
from tests.serving.journal_examples import url

START = datetime(2026, 3, 14, 9, 26, tzinfo=UTC)
NO_TOKEN = Refusal(at="call", status=401, code="login", service_id="aki")
NO_JSON = Refusal(at="call", status=400, code="structure", service_id="aki", client="ward-ehr")


class Clock:
    """One second later each time."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


class Paper:
    """A journal that fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.entries: list[tuple[RefusalEntry, ...]] = []
        self.written = asyncio.Event()

    async def record(self, *entries: RefusalEntry) -> None:
        if self.failures:
            self.failures -= 1
            raise JournalUnavailable("The disk is full.")
        self.entries.append(entries)
        self.written.set()


def test_a_flood_of_refusals_is_one_entry_for_each_kind(tmp_path: Path) -> None:
    async def flood(journal: Journal) -> None:
        counts = RefusalCounts(journal, clock=Clock())
        for _ in range(5_000):
            counts.add(NO_TOKEN)
        counts.add(NO_JSON)
        await counts.close()

    with Journal.open(url(tmp_path / "journal.db")) as journal:
        asyncio.run(flood(journal))
        found = journal.refusals()
    login = RefusalEntry(
        first_at=START + timedelta(seconds=1),
        last_at=START + timedelta(seconds=5_000),
        at="call",
        http_status=401,
        error_code="login",
        count=5_000,
        service_id="aki",
    )
    structure = RefusalEntry(
        first_at=START + timedelta(seconds=5_001),
        last_at=START + timedelta(seconds=5_001),
        at="call",
        http_status=400,
        error_code="structure",
        count=1,
        service_id="aki",
        client="ward-ehr",
    )
    assert found == (structure, login)  # newest first


def test_counts_are_recorded_when_the_period_is_over_and_begin_anew() -> None:
    async def twice() -> list[tuple[RefusalEntry, ...]]:
        paper = Paper()
        counts = RefusalCounts(paper, clock=Clock(), period_s=0.01)
        for _ in range(2):
            counts.add(NO_TOKEN)
            counts.add(NO_TOKEN)
            await asyncio.wait_for(paper.written.wait(), timeout=30)
            paper.written.clear()
        await counts.close()
        return paper.entries

    assert [[entry.count for entry in entries] for entries in asyncio.run(twice())] == [[2], [2]]


def test_nothing_is_recorded_where_nothing_was_refused() -> None:
    paper = Paper()
    asyncio.run(RefusalCounts(paper, clock=Clock()).close())
    assert paper.entries == []


def test_counts_that_the_journal_does_not_take_are_said_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def refused() -> None:
        counts = RefusalCounts(Paper(failures=1), clock=Clock())
        counts.add(NO_TOKEN)
        counts.add(NO_JSON)
        await counts.close()

    asyncio.run(refused())
    (record,) = (each for each in caplog.records if each.levelno >= logging.ERROR)
    assert (record.message, vars(record)["refusals"]) == ("refusals_not_recorded", 2)


def test_an_entry_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="count of a RefusalEntry is 1 or more; 0 came"):
        RefusalEntry(first_at=START, last_at=START, at="call", http_status=401, error_code="login", count=0)
