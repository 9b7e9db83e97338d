"""The journal keeps what it acknowledged, acknowledges only what it keeps, and says so when it cannot."""

import asyncio
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event

import serving
from serving.journal import MAX_GROUP, Journal, JournalError, JournalRejected, JournalUnavailable
from serving.journal_entries import FeedbackRecord, ServiceCounts
from tests.serving.journal_examples import (
    NOW,
    PSEUDONYMS,
    call_ids,
    call_without_data,
    card_of,
    failed_call,
    feedback_on,
    scored_call,
    url,
    write_lock,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with Journal.open(url(path)) as opened:
        yield opened


def count_commits(journal: Journal) -> list[int]:
    commits: list[int] = []
    event.listen(journal._engine, "commit", lambda _connection: commits.append(1))
    return commits


# What is recorded is read back, exactly.


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(scored_call(), id="scored call"),
        pytest.param(scored_call(contributions=None), id="explanation dropped"),
        pytest.param(scored_call(mode="shadow", response_body=b'{"cards":[]}'), id="shadow"),
        pytest.param(scored_call(evidence=["Größe", 1e-300, True, None]), id="evidence is any JSON value"),
        pytest.param(call_without_data(), id="insufficient data"),
        pytest.param(failed_call(), id="error"),
        pytest.param(scored_call(received_at=NOW.replace(year=1969)), id="instant before 1970"),
    ],
)
def test_a_call_is_read_back_as_it_was_recorded_so_that_its_card_can_be_replayed(journal: Journal, entry: Any) -> None:
    asyncio.run(journal.record(entry))
    assert journal.call(entry.call_id) == entry


def test_a_call_and_its_cards_are_one_record_and_suppressed_cards_keep_their_reason(journal: Journal) -> None:
    call = scored_call()
    cards = (card_of(call), card_of(call, indicator="info", suppressed="lock-out"))
    asyncio.run(journal.record(call, *cards))
    assert journal.cards_of(call.call_id) == cards


def test_calls_are_listed_newest_first_up_to_a_limit_and_by_service(journal: Journal) -> None:
    first, second, other = scored_call(), failed_call(), scored_call(service_id="aki")
    for entry in (first, second, other):
        asyncio.run(journal.record(entry))
    assert journal.calls() == (other, second, first)
    assert journal.calls(limit=1, service_id="sepsis") == (second,)
    assert journal.call(uuid4()) is None


def test_feedback_is_tied_to_the_call_model_and_version_of_its_card(journal: Journal, path: Path) -> None:
    call = scored_call()
    card = card_of(call)
    overridden = feedback_on(card.card_uuid)
    accepted = feedback_on(card.card_uuid, outcome="accepted", accepted_suggestion_ids=("s-1", "s-2"))
    asyncio.run(journal.record(call, card))
    asyncio.run(journal.record(overridden))
    asyncio.run(journal.record(accepted))
    journal.close()
    tied = partial(
        FeedbackRecord,
        known_card=True,
        call_id=call.call_id,
        model_version="3",
        bundle_fingerprint="5e" * 32,
    )
    with Journal.open(url(path)) as reopened:
        assert reopened.feedback_for(card.card_uuid) == (
            tied(entry=overridden),
            tied(entry=accepted),
        )


def test_feedback_for_an_unknown_card_is_kept_and_flagged(journal: Journal) -> None:
    feedback = feedback_on("no-card-of-ours")
    asyncio.run(journal.record(feedback))
    assert journal.feedback_for("no-card-of-ours") == (
        FeedbackRecord(entry=feedback, known_card=False, call_id=None, model_version=None, bundle_fingerprint=None),
    )


def test_the_alert_budget_sees_the_last_card_that_was_shown_on_this_patient(journal: Journal) -> None:
    earlier, shown, suppressed, other = (scored_call() for _ in range(4))
    other = scored_call(patient_pseudonym=PSEUDONYMS.of("patient-2"))
    for call, reason in ((earlier, None), (shown, None), (suppressed, "lock-out"), (other, None)):
        asyncio.run(journal.record(call, card_of(call, suppressed=reason)))
    asyncio.run(journal.record(call_without_data()))
    pseudonym = PSEUDONYMS.of("patient-1")
    assert journal.last_shown(service_id="sepsis", patient_pseudonym=pseudonym) == shown
    assert journal.last_shown(service_id="aki", patient_pseudonym=pseudonym) is None


def test_counts_are_per_service_and_from_an_instant_on(journal: Journal) -> None:
    old, call, hidden = scored_call(received_at=NOW - timedelta(days=7)), scored_call(), scored_call()
    card = card_of(call)
    asyncio.run(journal.record(old, card_of(old), call, card, hidden, card_of(hidden, suppressed="shadow")))
    asyncio.run(journal.record(call_without_data(), failed_call(), failed_call(service_id="no-such-service")))
    twice = feedback_on(card.card_uuid)
    asyncio.run(journal.record(twice, twice, feedback_on("unknown", outcome="accepted")))
    assert journal.counts(since=NOW) == (
        ServiceCounts(service_id="no-such-service", calls=1, errors=1),
        ServiceCounts(
            service_id="sepsis",
            calls=4,
            errors=1,
            insufficient_data=1,
            cards_shown=1,
            cards_suppressed=1,
            overridden=1,
            feedback_unknown_card=1,
        ),
    )
    assert [counts.cards_shown for counts in journal.counts()] == [0, 2]


# What is acknowledged survives.

_RECORD_AND_DIE = """
import asyncio, os, signal, sys
from serving.journal import Journal
from tests.serving.journal_examples import card_of, scored_call

async def serve():
    journal = Journal.open(sys.argv[1])
    for _ in range(5):
        call = scored_call()
        await journal.record(call, card_of(call))
        print(call.call_id, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(serve())
"""


def test_a_killed_server_has_lost_no_card_that_left_it(path: Path) -> None:
    root = Path(serving.__file__).parents[1]
    command = [sys.executable, "-W", "error", "-c", _RECORD_AND_DIE, url(path)]
    died = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=60)
    assert (died.returncode, died.stderr) == (-signal.SIGKILL, "")
    acknowledged = [UUID(line) for line in died.stdout.split()]
    with Journal.open(url(path)) as reopened:
        assert [call.call_id for call in reversed(reopened.calls())] == acknowledged
        assert [len(reopened.cards_of(call_id)) for call_id in acknowledged] == [1] * 5


def test_closing_commits_what_was_submitted_and_refuses_what_comes_later(journal: Journal, path: Path) -> None:
    calls = [scored_call() for _ in range(2 * MAX_GROUP)]
    waiters = [journal.submit(call) for call in calls]
    journal.close()
    journal.close()
    assert [waiter.result(timeout=0) for waiter in waiters] == [None] * len(calls)
    assert call_ids(path) == {call.call_id for call in calls}
    with pytest.raises(JournalUnavailable, match="is closed"):
        asyncio.run(journal.record(scored_call()))


def test_calls_that_wait_together_share_one_transaction(journal: Journal, path: Path) -> None:
    commits = count_commits(journal)
    with write_lock(path):
        waiters = [journal.submit(scored_call()) for _ in range(64)]
        assert not any(waiter.done() for waiter in waiters)
    for waiter in waiters:
        waiter.result(timeout=30)
    # The writer takes the first one or more, waits for the lock, then finds all others in the queue.
    assert 1 <= len(commits) <= 2


def test_a_caller_that_gives_up_waiting_does_not_undo_its_entry(journal: Journal, path: Path) -> None:
    call = scored_call()

    async def give_up() -> None:
        waiting = asyncio.create_task(journal.record(call))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    with write_lock(path):
        asyncio.run(give_up())
    journal.close()
    assert call_ids(path) == {call.call_id}


def test_event_loops_in_several_threads_and_a_second_server_record_side_by_side(journal: Journal, path: Path) -> None:
    calls = [[scored_call() for _ in range(20)] for _ in range(4)]

    async def serve(own: list[Any], target: Journal) -> None:
        await asyncio.gather(*(target.record(call, card_of(call)) for call in own))

    with Journal.open(url(path)) as second:
        targets = (journal, journal, second, second)
        threads = [
            threading.Thread(target=lambda own=own, target=target: asyncio.run(serve(own, target)))
            for own, target in zip(calls, targets, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert call_ids(path) == {call.call_id for own in calls for call in own}
    assert [counts.cards_shown for counts in journal.counts()] == [80]


# What cannot be kept is not acknowledged.


@pytest.mark.parametrize(
    ("pragma", "undo", "words"),
    [
        pytest.param("query_only = ON", "query_only = OFF", "readonly", id="read-only database"),
        pytest.param("max_page_count = 1", "max_page_count = 1000000", "full", id="full disk"),
    ],
)
def test_a_failed_commit_raises_to_each_waiter_and_the_next_one_is_tried_anew(
    journal: Journal, path: Path, pragma: str, undo: str, words: str
) -> None:
    current = [pragma]
    # SQLite itself refuses the write, as it would on a worn-out disk.
    event.listen(journal._engine, "checkout", lambda connection, *_: connection.execute(f"PRAGMA {current[0]}"))

    async def record_all() -> list[BaseException | None]:
        waiting = (journal.record(scored_call(response_body=b"x" * 10_000)) for _ in range(8))
        return await asyncio.gather(*waiting, return_exceptions=True)

    errors = asyncio.run(record_all())
    assert [type(error) for error in errors] == [JournalUnavailable] * 8
    assert all(words in str(error) for error in errors)
    assert len({id(error) for error in errors}) == 8
    assert call_ids(path) == set()

    current[0] = undo
    call = scored_call()
    asyncio.run(journal.record(call))
    assert call_ids(path) == {call.call_id}


def test_a_bad_entry_is_refused_alone_and_its_group_is_kept(journal: Journal, path: Path) -> None:
    known = scored_call()
    asyncio.run(journal.record(known))
    good = [scored_call() for _ in range(3)]
    group = (good[0], scored_call(call_id=known.call_id), good[1], card_of(scored_call()), good[2])
    with write_lock(path):
        waiters = [journal.submit(entry) for entry in group]
    refused = [type(waiter.exception(timeout=30)) for waiter in waiters]
    assert refused == [type(None), JournalRejected, type(None), JournalRejected, type(None)]
    assert call_ids(path) == {known.call_id, *(call.call_id for call in good)}


def test_a_record_is_all_or_nothing(journal: Journal, path: Path) -> None:
    with pytest.raises(JournalRejected, match="FOREIGN KEY"):
        asyncio.run(journal.record(scored_call(), card_of(scored_call())))
    assert call_ids(path) == set()


def test_evidence_that_is_no_json_is_refused_before_anything_is_written(journal: Journal) -> None:
    with pytest.raises(TypeError):
        asyncio.run(journal.record(scored_call(evidence=object())))


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(feedback_on("card", user_comment="CANARY-\ud800"), id="text that cannot be stored"),
        pytest.param(scored_call(call_id=UUID(int=1), evidence={"note": "CANARY"}), id="duplicate call"),
        pytest.param(card_of(scored_call(), suppressed="CANARY"), id="card without its call"),
    ],
)
def test_a_refusal_does_not_quote_what_was_to_be_stored(journal: Journal, entry: Any) -> None:
    asyncio.run(journal.record(scored_call(call_id=UUID(int=1))))
    with pytest.raises(JournalError) as refusal:
        asyncio.run(journal.record(entry))
    assert refusal.value.http_status == 500
    assert "CANARY" not in "".join(traceback.format_exception(refusal.value))


def test_no_patient_id_reaches_the_database_or_its_log(journal: Journal, tmp_path: Path) -> None:
    canary = "PATIENT-CANARY-4711"
    call = scored_call(patient_pseudonym=PSEUDONYMS.of(canary))
    asyncio.run(journal.record(call, card_of(call)))
    files = sorted(file.name for file in tmp_path.iterdir())
    assert files == ["journal.db", "journal.db-shm", "journal.db-turn", "journal.db-wal"]
    stored = b"".join((tmp_path / file).read_bytes() for file in files)
    assert PSEUDONYMS.of(canary).encode() in stored  # the search would find what is there
    assert canary.encode() not in stored


def test_a_database_that_is_gone_is_told_to_readers(journal: Journal, path: Path) -> None:
    asyncio.run(journal.record(scored_call()))
    journal.close()
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(JournalUnavailable, match="could not be read"):
        journal.calls()
