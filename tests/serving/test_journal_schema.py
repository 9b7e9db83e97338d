"""The journal's schema: made from nothing, append-only for every program, and never opened half understood."""

import asyncio
import contextlib
import io
import sqlite3
import threading
from importlib import resources
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from serving.journal import SCHEMA_REVISION, Journal, JournalSchemaError, JournalUnavailable, Synchronous
from serving.journal_tables import METADATA
from serving.migrations.versions import clients_and_refusals, first_journal
from tests.serving.journal_examples import call_ids, card_of, feedback_on, refused_requests, scored_call, url


def execute(path: Path, statement: str) -> None:
    """As any other program would, without the journal's settings."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal with one call, its card, feedback, and refused requests, closed."""
    path = tmp_path / "journal.db"
    call = scored_call()
    card = card_of(call)
    with Journal.open(url(path)) as journal:
        asyncio.run(journal.record(call, card, feedback_on(card.card_uuid), refused_requests()))
    return path


def test_the_revisions_end_in_the_tables_that_the_code_reads_and_writes(path: Path) -> None:
    engine = create_engine(url(path))
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    engine.dispose()


def test_the_revision_that_needs_no_migration_is_the_newest() -> None:
    """Alembic, which is slow to import, is left alone where the database has this revision already."""
    config = Config()
    config.set_main_option("script_location", "serving:migrations")
    assert ScriptDirectory.from_config(config).get_heads() == [SCHEMA_REVISION]


def test_the_revisions_are_packaged_with_the_server() -> None:
    migrations = resources.files("serving.migrations")
    assert migrations.joinpath("env.py").is_file()
    assert migrations.joinpath("versions", "first_journal.py").is_file()


def test_a_new_journal_is_readable_by_its_owner_only(path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("synchronous", "expected"), [pytest.param("FULL", 2, id="full"), pytest.param("NORMAL", 1, id="normal")]
)
def test_sqlite_writes_ahead_and_waits_for_the_disk_as_told(
    path: Path, synchronous: Synchronous, expected: int
) -> None:
    with Journal.open(url(path), synchronous=synchronous) as journal, journal._engine.connect() as connection:
        pragmas = ("journal_mode", "synchronous", "foreign_keys")
        found = [connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() for pragma in pragmas]
    assert found == ["wal", expected, 1]


def test_opening_again_changes_nothing(path: Path) -> None:
    before = call_ids(path)
    Journal.open(url(path)).close()
    assert call_ids(path) == before != set()


def test_servers_that_start_together_on_an_empty_database_make_one_schema(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    barrier = threading.Barrier(4)
    call = scored_call()
    opened: list[Journal] = []

    def start() -> None:
        barrier.wait()
        opened.append(Journal.open(url(path)))

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 4
    opened[0].submit(call).result(timeout=30)
    assert [journal.call(call.call_id) for journal in opened] == [call] * 4
    for journal in opened:
        journal.close()


_CHANGES = {
    "update": "UPDATE {table} SET {column} = 'x'",
    "delete": "DELETE FROM {table}",
    "replace by sequence": "INSERT OR REPLACE INTO {table} SELECT * FROM {table}",
    "replace by name": "INSERT OR REPLACE INTO {table} SELECT sequence + 1, {others} FROM {table}",
    "upsert": "INSERT INTO {table} SELECT * FROM {table} WHERE true ON CONFLICT DO UPDATE SET {column} = 'x'",
}
_COLUMN = {"calls": "status", "cards": "suppressed", "feedback": "user_comment", "refusals": "client"}
_WITHOUT_NAMES = {"feedback", "refusals"}


@pytest.mark.parametrize(
    ("table", "change"),
    # The same card may get the same feedback again, the same be refused again: "replace by name" is an addition.
    [
        (table, change)
        for table in _COLUMN
        for change in _CHANGES
        if change != "replace by name" or table not in _WITHOUT_NAMES
    ],
)
def test_no_program_changes_or_removes_what_is_recorded(path: Path, table: str, change: str) -> None:
    others = ", ".join(column.name for column in METADATA.tables[table].columns if column.name != "sequence")
    statement = _CHANGES[change].format(table=table, column=_COLUMN[table], others=others)
    with pytest.raises(sqlite3.IntegrityError, match="the journal is append-only"):
        execute(path, statement)


def test_a_journal_of_the_first_revision_is_brought_to_the_newest_with_all_that_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    engine = create_engine(url(path))
    with engine.begin() as connection, Operations.context(MigrationContext.configure(connection)):
        first_journal.upgrade()
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('0001')")
        connection.exec_driver_sql(
            "INSERT INTO feedback (card_uuid, known_card, service_id, outcome, outcome_timestamp, received_at, "
            "accepted_suggestion_ids) VALUES ('c', 0, 'sepsis', 'accepted', 0, 0, '[]')"
        )
    engine.dispose()
    with Journal.open(url(path)) as journal:
        asyncio.run(journal.record(scored_call(client="ward-ehr", tenant="north"), refused_requests()))
        (old,) = journal.feedback_for("c")
        (call,) = journal.calls()
        assert (old.entry.client, call.client, call.tenant) == (None, "ward-ehr", "north")
        assert journal.refusals() == (refused_requests(),)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        execute(path, "DELETE FROM feedback")


@pytest.mark.parametrize(
    "revision",
    [pytest.param("0999", id="newer Bedside"), pytest.param("1bd49d398cd23", id="another program")],
)
def test_a_schema_that_this_version_does_not_know_is_refused_and_left_alone(path: Path, revision: str) -> None:
    execute(path, f"UPDATE alembic_version SET version_num = '{revision}'")  # noqa: S608 - a constant of this test
    before = path.read_bytes()
    with pytest.raises(JournalSchemaError, match=f"revision {revision}; this version knows 0001, 0002"):
        Journal.open(url(path))
    assert path.read_bytes() == before


def test_a_failed_migration_leaves_no_half_made_schema(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    execute(path, "CREATE TABLE feedback (of_another_program TEXT)")
    with pytest.raises(JournalUnavailable, match="already exists"):
        Journal.open(url(path))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("feedback",)]


@pytest.mark.parametrize(
    ("database", "message"),
    [
        pytest.param("sqlite://", "needs a plain file", id="in memory"),
        pytest.param("sqlite:///:memory:", "needs a plain file", id="in memory, spelled out"),
        pytest.param("sqlite:///{folder}/missing/journal.db", "Create its folder", id="missing folder"),
        pytest.param("sqlite:///{folder}/notes.txt", "not a database", id="not a database"),
        pytest.param("journal.db", "expected one such as sqlite:", id="no URL"),
        pytest.param("firebird://host/journal", "expected one such as sqlite:", id="no driver"),
    ],
)
def test_a_journal_that_cannot_be_opened_stops_the_start_and_says_what_to_do(
    tmp_path: Path, database: str, message: str
) -> None:
    (tmp_path / "notes.txt").write_text("Not a journal, but long enough to be looked at. " * 50)
    with pytest.raises(JournalUnavailable, match=message):
        Journal.open(database.format(folder=tmp_path))


def test_postgresql_gets_the_same_tables_and_its_own_guard() -> None:
    sql = _rendered_for("postgresql")
    assert sql.count("CREATE TABLE") == 4
    assert sql.count("BEFORE UPDATE OR DELETE OR TRUNCATE") == 4
    assert "sequence BIGSERIAL NOT NULL" in sql
    assert "AUTOINCREMENT" not in sql


def test_a_database_without_a_guard_is_refused() -> None:
    with pytest.raises(NotImplementedError, match="cannot be made append-only on mysql"):
        _rendered_for("mysql")


def _rendered_for(dialect: str) -> str:
    written = io.StringIO()
    context = MigrationContext.configure(
        dialect_name=dialect, opts={"as_sql": True, "output_buffer": written, "literal_binds": True}
    )
    with Operations.context(context):
        first_journal.upgrade()
        clients_and_refusals.upgrade()
    return written.getvalue()
