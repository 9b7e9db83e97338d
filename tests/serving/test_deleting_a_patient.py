"""What docs/privacy.md says of deleting one patient does that, and nothing more."""

import asyncio
import contextlib
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from serving.journal import Journal
from tests.serving.journal_examples import PSEUDONYMS, call_ids, card_of, feedback_on, scored_call, url

PAGE = (Path(__file__).parents[2] / "docs" / "privacy.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A journal of two patients, each with two calls that had a card and feedback."""
    path = tmp_path / "journal.db"
    with Journal.open(url(path)) as opened:
        for patient in ("patient-1", "patient-2", "patient-1", "patient-2"):
            call = scored_call(patient_pseudonym=PSEUDONYMS.of(patient))
            card = card_of(call)
            comment = feedback_on(card.card_uuid, user_comment=f"about {patient}")
            asyncio.run(opened.record(call, card, comment))
    return path


def rows(path: Path, table: str) -> int:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - names of this file
    return int(count)


def test_the_patients_rows_are_gone_to_the_last_byte_and_no_others(journal: Path) -> None:
    with contextlib.closing(sqlite3.connect(journal)) as connection:
        connection.executescript(block("sql").replace("PSEUDONYM", PSEUDONYMS.of("patient-1")))
    assert {table: rows(journal, table) for table in ("calls", "cards", "feedback")} == {
        "calls": 2,
        "cards": 2,
        "feedback": 2,
    }
    content = b"".join(file.read_bytes() for file in journal.parent.glob("journal.db*"))
    assert PSEUDONYMS.of("patient-1").encode() not in content
    assert b"about patient-1" not in content
    assert PSEUDONYMS.of("patient-2").encode() in content


@pytest.mark.parametrize("table", ["calls", "cards", "feedback"])
def test_the_journal_is_append_only_again_and_goes_on(table: str, journal: Path) -> None:
    with contextlib.closing(sqlite3.connect(journal)) as connection:
        connection.executescript(block("sql").replace("PSEUDONYM", PSEUDONYMS.of("patient-1")))
        for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET sequence = sequence + 9"):  # noqa: S608
            with pytest.raises(sqlite3.IntegrityError, match="the journal is append-only"):
                connection.execute(statement)
        connection.rollback()
    call = scored_call()
    with Journal.open(url(journal)) as opened:
        asyncio.run(opened.record(call))
    assert call.call_id in call_ids(journal)


def test_the_triggers_are_those_that_the_journal_had(journal: Path) -> None:
    def triggers() -> set[tuple[str, str]]:
        with contextlib.closing(sqlite3.connect(journal)) as connection:
            return set(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))

    before = triggers()
    with contextlib.closing(sqlite3.connect(journal)) as connection:
        connection.executescript(block("sql"))
    assert triggers() == before


def test_the_pseudonym_is_computed_as_the_page_says(tmp_path: Path) -> None:
    key = tmp_path / "pseudonym.key"
    key.write_bytes(PSEUDONYMS.key)
    command = block("sh").replace("python -c", f"{sys.executable} -c")
    command = command.replace("state/pseudonym.key", str(key)).replace("PATIENT-ID", "patient-1")
    found = subprocess.run(["/bin/sh", "-c", command], check=True, capture_output=True, text=True).stdout
    assert found.strip() == PSEUDONYMS.of("patient-1")
