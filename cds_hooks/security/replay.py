"""Replay: a token is good for one call. Which have been used is kept where all processes of the server see it.

Source: CDS Hooks, Trusting CDS Clients (`jti`) and best practices; RFC 7519, 4.1.7: unique within an issuer.
"""

import asyncio
import hashlib
import math
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Protocol

_LOCK_WAIT_SECONDS: Final = 2.0  # waiting for another process's write; after that the call is a 503
_FORGET_EVERY: Final = 512  # uses between two clearances of what has expired
_KEEP_SECONDS: Final = 60  # longer than a call waits between its token's check and this store (for keys)
_OWNER_ONLY: Final = 0o600


class ReplayStoreError(Exception):
    """It cannot be told whether a token was used before: nobody is let in."""


class ReplayStore(Protocol):
    """Remembers tokens until they expire.

    One SQLite file serves the processes of one machine; several machines need a store that they share: one
    INSERT ... ON CONFLICT DO NOTHING in PostgreSQL, say.
    """

    async def first_use(self, issuer: str, token_id: str, *, expires_at: float, now: float) -> bool:
        """Note this use. True for the first of a token, whichever process asks; false for any other.

        Args:
            issuer: `iss` of a token whose signature was checked.
            token_id: its `jti`.
            expires_at: from when on it would be refused anyway, in seconds since 1970.
            now: likewise.

        Raises:
            ReplayStoreError: it cannot be told.
        """


class SqliteReplayStore:
    """One SQLite file for all processes of one machine.

    Until the first token comes it holds neither a connection nor a thread, so that workers may be forked after it was
    opened, and then use it. What it keeps is a digest of issuer and jti, and a time. Not every use waits for the disk:
    a power cut may forget the last of them, and a token lives for minutes.
    """

    def __init__(self, file: Path) -> None:
        """Open or make the file; the folder must exist.

        Raises:
            ReplayStoreError: it cannot be written.
        """
        self._file = file
        self._connection: sqlite3.Connection | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._uses = 0
        self._process: int | None = None
        try:
            file.touch(mode=_OWNER_ONLY)
            self._connect().close()
        except (OSError, sqlite3.Error) as error:
            raise ReplayStoreError(
                f"{file}: the file of used tokens cannot be made or written ({type(error).__name__}). Create its "
                "folder on a local disk and let the server's user write there."
            ) from error

    async def first_use(self, issuer: str, token_id: str, *, expires_at: float, now: float) -> bool:
        """See ReplayStore."""
        return await self._on_thread(lambda: self._insert(_digest(issuer, token_id), math.ceil(expires_at), now))

    async def close(self) -> None:
        """Release the file; no call may come after."""
        if self._thread is not None:
            await self._on_thread(self._disconnect)
            self._thread.shutdown()
            self._thread = None

    async def _on_thread(self, act: Callable[[], bool]) -> bool:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="used-tokens")
            self._process = os.getpid()
        if self._process != os.getpid():  # a connection must not cross a fork (sqlite.org/howtocorrupt.html, 2.6)
            raise ReplayStoreError("The file of used tokens was in use before the fork: use it in the workers alone.")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, act)
        except sqlite3.Error as error:
            raise ReplayStoreError(f"The file of used tokens cannot be written ({type(error).__name__}).") from error

    def _insert(self, digest: bytes, expires_at: int, now: float) -> bool:
        if self._connection is None:
            self._connection = self._connect()
        if self._uses % _FORGET_EVERY == 0:
            self._connection.execute("DELETE FROM used WHERE expires_at < ?", (int(now) - _KEEP_SECONDS,))
        self._uses += 1
        inserted = self._connection.execute(
            "INSERT INTO used (digest, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING", (digest, expires_at)
        )
        return inserted.rowcount == 1

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._file, timeout=_LOCK_WAIT_SECONDS, isolation_level=None)
        if connection.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
            raise sqlite3.OperationalError  # a file system without shared memory: its locks are not to be trusted
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS used (digest BLOB PRIMARY KEY, expires_at INTEGER NOT NULL) WITHOUT ROWID"
        )
        connection.execute("CREATE INDEX IF NOT EXISTS used_expires_at ON used (expires_at)")
        return connection

    def _disconnect(self) -> bool:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        return True


def _digest(issuer: str, token_id: str) -> bytes:
    """Of both, so that one is never taken for a part of the other; 256 bits, so that none is met twice by chance."""
    text = f"{len(issuer)}:{issuer}{token_id}"
    return hashlib.sha256(text.encode()).digest()
