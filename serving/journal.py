"""Journal: one append-only account of what was asked, computed, shown and answered.

A card leaves only after its row is committed. One writer thread commits whatever has queued up as one
transaction, so that many calls share the cost of one write to the disk.
"""

import asyncio
import contextlib
import queue
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from serving.journal_entries import Entry
from serving.journal_errors import (
    JournalError,
    JournalRejected,
    JournalSchemaError,
    JournalUnavailable,
    describe,
    failed_write,
    for_one_waiter,
)
from serving.journal_reads import JournalReads
from serving.journal_tables import INSERTS, Row, to_row
from serving.journal_turn import Turn

__all__ = [
    "Journal",
    "JournalError",
    "JournalRejected",
    "JournalSchemaError",
    "JournalUnavailable",
    "Synchronous",
]

Synchronous = Literal["FULL", "NORMAL"]

_LOCK_WAIT_S = 2.0  # waiting for another process's write; a call should not wait longer before its 503
_OWNER_ONLY = 0o600
SCHEMA_REVISION: Final = "0002"  # the newest of serving/migrations
MAX_GROUP: Final = 256  # submissions in one transaction: bounds the wait of the first of them


@dataclass(frozen=True, slots=True, kw_only=True)
class _Submission:
    """Rows that stand or fall together, and whom to tell."""

    rows: tuple[tuple[type[Entry], Row], ...]
    committed: Future[None]


class Journal(JournalReads):
    """The open journal: one per process, to record from any event loop or thread, and to close at the end.

    Until the first entry comes it holds neither a connection nor a thread, so that a server may open it, be sure
    that it can be written, and then fork its workers: each has its own writer and its own connections.
    """

    def __init__(self, engine: Engine, turn: Turn) -> None:
        super().__init__(engine)
        self._turn = turn
        self._queue: queue.SimpleQueue[_Submission | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._writer: threading.Thread | None = None

    @classmethod
    def open(cls, url: str, *, synchronous: Synchronous = "FULL") -> Self:
        """Open the database and bring its schema to this version.

        Args:
            url: an SQLAlchemy URL such as ``sqlite:////var/lib/bedside/journal.db``. The folder must exist; a
                new SQLite file is readable by its owner only.
            synchronous: SQLite's pragma. With FULL each group waits until the disk has it, so that no card
                that was shown is missing even after a power cut: "committed" promises that, hence the default.
                NORMAL spares the wait (a millisecond or more a group) and survives a killed process just as
                well, but a power cut may take the account of the last cards. PostgreSQL decides for itself.

        Raises:
            JournalUnavailable: the database cannot be opened, locked or written, or lies in memory only.
            JournalSchemaError: its schema is none that this version knows.
        """
        engine = _create_engine(url, synchronous)
        try:
            _migrate(engine)
        except SQLAlchemyError as error:
            engine.dispose()
            raise JournalUnavailable(
                f"The journal {engine.url!r} could not be opened: {describe(error)}. Check that its folder "
                "exists and is writable, that the disk is not full, and that the file is a journal."
            ) from error
        except JournalError:
            engine.dispose()
            raise
        engine.dispose()  # an SQLite connection must not cross a fork (sqlite.org/howtocorrupt.html, section 2.6)
        return cls(engine, Turn(_turn_file(engine.url, synchronous)))

    async def record(self, *entries: Entry) -> None:
        """Record entries as one unit, all or none; returns once they are committed.

        A caller that is cancelled while it waits stops waiting; its entries are recorded all the same.

        Raises:
            JournalUnavailable, JournalRejected: nothing of it was recorded: send no card.
            TypeError: the evidence of a call is no JSON value.
        """
        await asyncio.wrap_future(self.submit(*entries))

    def submit(self, *entries: Entry) -> Future[None]:
        """As ``record``, for threads: the future has no result, or the JournalError."""
        rows = tuple((type(entry), to_row(entry)) for entry in entries)
        submission = _Submission(rows=rows, committed=Future())
        with self._lock:
            if self._closed:
                raise JournalUnavailable("The journal is closed: the server is shutting down. Call again later.")
            if self._writer is None:
                self._writer = self._started_writer()
            self._queue.put(submission)
        return submission.committed

    def close(self) -> None:
        """Commit all that was submitted, stop the writer, release the database. Closing twice is allowed."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        if self._writer is not None:
            self._writer.join()
        self._turn.close()
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _started_writer(self) -> threading.Thread:
        # A daemon: what is still queued when a process dies was not acknowledged, so no card has left for it.
        writer = threading.Thread(target=self._write_groups, name="journal-writer", daemon=True)
        writer.start()
        return writer

    def _write_groups(self) -> None:
        while (first := self._queue.get()) is not None:
            group = [first]
            with contextlib.suppress(queue.Empty):
                while len(group) < MAX_GROUP:
                    following = self._queue.get_nowait()
                    if following is None:
                        self._queue.put(None)  # nothing comes after it: end after this group
                        break
                    group.append(following)
            for submission in group:
                # From here on a waiter's cancel comes too late: its entries are recorded.
                submission.committed.set_running_or_notify_cancel()
            self._commit(group)

    def _commit(self, group: list[_Submission]) -> None:
        error = self._write(group)
        if isinstance(error, JournalRejected) and len(group) > 1:
            for submission in group:  # one bad entry must not take its neighbours' cards away
                self._commit([submission])
            return
        for submission in group:
            if submission.committed.cancelled():
                continue
            if error is None:
                submission.committed.set_result(None)
            else:
                submission.committed.set_exception(for_one_waiter(error))

    def _write(self, group: list[_Submission]) -> JournalError | None:
        try:
            with self._turn.taken(), self._engine.begin() as connection:
                for kind, statement in INSERTS.items():
                    rows = [row for submission in group for of, row in submission.rows if of is kind]
                    if rows:
                        connection.execute(statement, rows)
        except Exception as error:  # noqa: BLE001 - whatever it is, it goes to the waiters; else they wait for ever
            return failed_write(error)
        return None


def _create_engine(url: str, synchronous: Synchronous) -> Engine:
    try:
        parsed = make_url(url)
        sqlite = parsed.get_backend_name() == "sqlite"
        if sqlite:
            _prepare_file(parsed)
        # hide_parameters: an error's text, and so a log line, must not quote what was to be stored.
        engine = create_engine(
            parsed,
            hide_parameters=True,
            connect_args={"timeout": _LOCK_WAIT_S} if sqlite else {},
        )
    except (ArgumentError, ImportError) as error:
        raise JournalUnavailable(
            "The journal's URL is none that SQLAlchemy can open; expected one such as "
            "sqlite:////var/lib/bedside/journal.db, and its driver installed."
        ) from error
    if sqlite:
        event.listen(engine, "connect", partial(_configure_sqlite, synchronous))
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _turn_file(url: URL, synchronous: Synchronous) -> Path | None:
    """Where commits wait for the disk, writers queue; where they do not, SQLite's own wait is short enough."""
    if url.get_backend_name() != "sqlite" or synchronous != "FULL":
        return None
    return Path(f"{url.database}-turn")


def _prepare_file(url: URL) -> None:
    if url.database in {None, "", ":memory:"} or str(url.database).startswith("file:"):
        raise JournalUnavailable(
            "A journal needs a plain file, since an account in memory is lost; expected sqlite:////path/journal.db."
        )
    try:
        Path(str(url.database)).touch(mode=_OWNER_ONLY)
    except OSError as error:
        raise JournalUnavailable(
            f"The journal's file {url.database} cannot be made or touched: {error.strerror}. "
            "Create its folder and let the server's user write there."
        ) from error


def _configure_sqlite(synchronous: Synchronous, connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # pysqlite opens no transactions of its own: SQLAlchemy's begin does
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise JournalUnavailable(
            f"The journal needs SQLite's write-ahead log; this file system allows only {mode!r}. Use a local disk."
        )
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    kind = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {kind}")


def _migrate(engine: Engine) -> None:
    if _is_current(engine):
        return
    # Alembic takes a fifth of a server's start and 10 MB: only a schema that is new or old needs it.
    from serving.journal_migration import migrate  # noqa: PLC0415

    migrate(engine)


def _is_current(engine: Engine) -> bool:
    # With the lock of a writer, so that a database which can only be read is found out now and not at the first card.
    with engine.execution_options(sqlite_begin="IMMEDIATE").begin() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return False
        return set(connection.scalars(text("SELECT version_num FROM alembic_version"))) == {SCHEMA_REVISION}
