"""Replay: a token is used once, whichever process, thread or server start sees it again."""

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from cds_hooks.security.replay import ReplayStoreError, SqliteReplayStore
from tests.cds_hooks.security.clients import NOW

# What another worker does: it tries each token once and says which were new to the site.
ANOTHER_PROCESS = """
import asyncio, pathlib, sys
from cds_hooks.security.replay import SqliteReplayStore

async def use():
    store = SqliteReplayStore(pathlib.Path(sys.argv[1]))
    for number in range(int(sys.argv[2])):
        if await store.first_use("iss", f"jti-{number}", expires_at=1800000300.0, now=1800000000.0):
            print(number)
    await store.close()

asyncio.run(use())
"""

# A server that opens the file and forks three workers, each of which uses the same token.
AFTER_FORK = """
import asyncio, os, pathlib, sys
from cds_hooks.security.replay import ReplayStoreError, SqliteReplayStore

store = SqliteReplayStore(pathlib.Path(sys.argv[1]))

def use(token):
    try:
        return asyncio.run(store.first_use("iss", token, expires_at=1800000300.0, now=1800000000.0))
    except ReplayStoreError as error:
        return type(error).__name__

BEFORE
workers = []
for _ in range(3):
    worker = os.fork()
    if worker == 0:
        os.write(1, f"{use('a')} ".encode())
        os._exit(0)
    workers.append(worker)
for worker in workers:
    os.waitpid(worker, 0)
"""


def _use(store: SqliteReplayStore, token_id: str, *, issuer: str = "iss", now: float = NOW, lives: float = 300) -> bool:
    return asyncio.run(store.first_use(issuer, token_id, expires_at=now + lives, now=now))


def _start(file: Path, tokens: int) -> "subprocess.Popen[str]":
    arguments = [sys.executable, "-c", ANOTHER_PROCESS, str(file), str(tokens)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def test_a_token_is_used_once(tmp_path: Path) -> None:
    store = SqliteReplayStore(tmp_path / "used.db")
    assert [_use(store, "a"), _use(store, "a"), _use(store, "b"), _use(store, "a", issuer="other")] == [
        True,
        False,
        True,
        True,
    ]
    asyncio.run(store.close())


def test_issuer_and_id_are_not_run_together(tmp_path: Path) -> None:
    store = SqliteReplayStore(tmp_path / "used.db")
    assert _use(store, "bc", issuer="a")
    assert _use(store, "c", issuer="ab")
    asyncio.run(store.close())


def test_a_use_survives_a_restart(tmp_path: Path) -> None:
    for expected in (True, False):
        store = SqliteReplayStore(tmp_path / "used.db")
        assert _use(store, "a") is expected
        asyncio.run(store.close())


def test_a_token_used_in_another_process_is_used(tmp_path: Path) -> None:
    store = SqliteReplayStore(tmp_path / "used.db")
    assert _use(store, "jti-1")
    output, _ = _start(tmp_path / "used.db", 3).communicate(timeout=60)
    assert output.split() == ["0", "2"]
    assert not _use(store, "jti-0")
    asyncio.run(store.close())


def test_processes_that_race_for_tokens_use_each_once(tmp_path: Path) -> None:
    SqliteReplayStore(tmp_path / "used.db")
    racing = [_start(tmp_path / "used.db", 300) for _ in range(3)]
    used = [number for process in racing for number in process.communicate(timeout=60)[0].split()]
    assert sorted(map(int, used)) == list(range(300))


def test_stores_of_one_file_in_one_process_race_fairly(tmp_path: Path) -> None:
    stores = [SqliteReplayStore(tmp_path / "used.db") for _ in range(4)]

    async def race() -> list[bool]:
        uses = (store.first_use("iss", "a", expires_at=NOW + 9, now=NOW) for store in stores for _ in range(25))
        return await asyncio.gather(*uses)

    assert asyncio.run(race()).count(True) == 1
    for store in stores:
        asyncio.run(store.close())


def test_what_has_expired_is_forgotten_and_nothing_else(tmp_path: Path) -> None:
    store = SqliteReplayStore(tmp_path / "used.db")
    for number in range(300):
        _use(store, f"{number}", lives=100 if number % 2 else 10_000)
    asyncio.run(store.close())
    again = SqliteReplayStore(tmp_path / "used.db")
    assert not _use(again, "0", now=NOW + 200)
    with sqlite3.connect(tmp_path / "used.db") as connection:
        assert connection.execute("SELECT count(*) FROM used").fetchone() == (150,)
    connection.close()
    asyncio.run(again.close())


def test_the_file_tells_nothing_of_tokens_and_only_to_its_owner(tmp_path: Path) -> None:
    store = SqliteReplayStore(tmp_path / "used.db")
    _use(store, "canary-jti", issuer="https://canary.example")
    content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"canary" not in content
    assert (tmp_path / "used.db").stat().st_mode & 0o077 == 0
    asyncio.run(store.close())


def test_a_lock_that_is_never_released_is_an_error_and_no_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cds_hooks.security.replay._LOCK_WAIT_SECONDS", 0.05)
    store = SqliteReplayStore(tmp_path / "used.db")
    other = sqlite3.connect(tmp_path / "used.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(ReplayStoreError, match="OperationalError"):
        _use(store, "a")
    other.execute("ROLLBACK")
    assert _use(store, "a")
    other.close()
    asyncio.run(store.close())


@pytest.mark.parametrize("spoil", ["no folder", "no database", "a folder"])
def test_a_file_that_cannot_be_used_is_told_at_start(spoil: str, tmp_path: Path) -> None:
    file = tmp_path / "used.db"
    if spoil == "no folder":
        file = tmp_path / "missing" / "used.db"
    elif spoil == "a folder":
        file.mkdir()
    else:
        file.write_bytes(b"this is no database" * 100)
    with pytest.raises(ReplayStoreError, match="cannot be made or written"):
        SqliteReplayStore(file)


def test_a_server_may_open_the_file_and_then_fork_its_workers(tmp_path: Path) -> None:
    assert _forked(tmp_path / "used.db", "") == ["False", "False", "True"]


def test_a_file_that_was_used_before_the_fork_lets_nobody_in(tmp_path: Path) -> None:
    """A connection that crosses a fork can break the file, so it is not used there."""
    assert _forked(tmp_path / "used.db", "use('b')") == ["ReplayStoreError"] * 3


def _forked(file: Path, before: str) -> list[str]:
    script = AFTER_FORK.replace("BEFORE", before)
    done = subprocess.run(
        [sys.executable, "-c", script, str(file)], capture_output=True, text=True, check=True, timeout=60
    )
    return sorted(done.stdout.split())
