"""Workers: calls go on when one dies, all end together and in order, and what was answered is in the journal."""

import http.client
import json
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bedside.cli import app
from serving.journal import Journal
from serving.listening import ListenError, bound
from serving.workers import WorkersError, serve_with_workers, wait_s
from tests.server_process import PATIENCE_S, ROOT, Server, eventually, free_port, is_running, running
from tests.serving.journal_examples import url

EXAMPLE = ROOT / "models" / "sepsis" / "examples" / "2-raised.json"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are forked, and found through procfs")


@pytest.fixture
def pids(tmp_path: Path) -> Iterator[Server]:
    """Two workers that answer with their pids."""
    port = free_port()
    command = ("-W", "error", "-m", "tests.serving.pid_server", str(port), "2")
    with running(tmp_path, *command, port=port, until="2 workers accept calls on 127.0.0.1 port") as server:
        assert server.process.poll() is None, server.log.read_text(encoding="utf-8")
        yield server


def assert_gone(server: Server, workers: set[int]) -> None:
    for pid in workers:
        eventually(lambda pid=pid: not is_running(pid), f"the end of worker {pid}")  # type: ignore[misc]
    with bound("127.0.0.1", server.port) as (listener,):
        listener.listen()


def test_all_workers_answer_calls_and_have_the_parents_children_as_their_number(pids: Server) -> None:
    found: Counter[int] = Counter()

    def both() -> bool:
        found[pids.ask()] += 1
        return len(found) == 2

    eventually(both, "answers of both workers")
    assert set(found) == pids.workers()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: str(number.name))
def test_a_signal_lets_calls_finish_and_ends_all_in_order(pids: Server, number: signal.Signals) -> None:
    """Status 0, no worker left, the port free."""
    workers, answers = pids.workers(), list[int]()
    calls = [threading.Thread(target=lambda: answers.append(pids.ask("/slow"))) for _ in range(4)]
    for call in calls:
        call.start()
    time.sleep(0.2)  # the calls are with the workers now
    assert pids.stop(number) == 0, pids.log.read_text(encoding="utf-8")
    for call in calls:
        call.join()
    assert len(answers) == 4
    assert set(answers) <= workers
    assert_gone(pids, workers)


def test_a_worker_that_is_killed_is_replaced_and_meanwhile_the_other_answers(pids: Server) -> None:
    before = pids.workers()
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: not is_running(victim), "the end of the worker")
    assert pids.ask() != victim
    eventually(lambda: len(pids.workers() - {victim}) == 2, "a replacement")
    assert pids.said(f"Worker {victim} died (killed by SIGKILL); replaced in 0.0 s")
    (fresh,) = pids.workers() - before
    eventually(lambda: pids.said(f"Worker {fresh} accepts calls"), "the replacement accepts calls")
    assert pids.stop() == 0


def test_a_worker_that_is_told_to_stop_by_others_than_its_parent_is_replaced_too(pids: Server) -> None:
    victim = min(pids.workers())
    os.kill(victim, signal.SIGTERM)
    eventually(lambda: pids.said(f"Worker {victim} died (status 0)"), "its end in the log")
    eventually(lambda: len(pids.workers()) == 2, "a replacement")


def test_workers_whose_parent_is_killed_end_by_themselves(pids: Server) -> None:
    workers = pids.workers()
    assert pids.stop(signal.SIGKILL) == -signal.SIGKILL
    assert_gone(pids, workers)
    assert pids.said("its parent is gone")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        pytest.param("startup", "A worker ended (status 3) before all accepted calls", id="a worker cannot start"),
        pytest.param("thread", "expected one thread before the workers are forked, found 2", id="a second thread"),
    ],
)
def test_what_keeps_workers_from_starting_ends_the_server_with_the_reason(
    fault: str, words: str, tmp_path: Path
) -> None:
    port = free_port()
    command = ("-m", "tests.serving.pid_server", str(port), "2", fault)
    with running(tmp_path, *command, port=port, until=words) as server:
        assert server.process.wait(timeout=PATIENCE_S) == 1
        assert server.said(words)
        assert_gone(server, set())


def test_one_worker_is_the_process_itself_and_ends_with_status_0(tmp_path: Path) -> None:
    port = free_port()
    command = ("-W", "error", "-m", "tests.serving.pid_server", str(port), "1")
    with running(tmp_path, *command, port=port, until="Accepting calls on 127.0.0.1 port") as server:
        assert server.ask() == server.process.pid
        assert server.stop() == 0
        assert_gone(server, {server.process.pid})


@pytest.mark.parametrize(
    ("recent_deaths", "expected"),
    [(1, 0.0), (2, 0.5), (3, 1.0), (4, 2.0), (7, 16.0), (8, 30.0), (2000, 30.0)],
    ids=str,
)
def test_workers_that_keep_dying_are_replaced_more_and_more_slowly(recent_deaths: int, expected: float) -> None:
    assert wait_s(recent_deaths) == expected


def test_where_no_process_can_be_forked_more_than_one_worker_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never_called(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    with pytest.raises(WorkersError, match="a system on which a process can safely be forked"):
        serve_with_workers(never_called, (), workers=2)


def test_sockets_are_made_for_tcp_by_number_so_that_no_answer_waits_for_an_acknowledgement() -> None:
    with bound("127.0.0.1", 0) as sockets:
        assert [listener.proto for listener in sockets] == [socket.IPPROTO_TCP]


@pytest.mark.parametrize(
    ("host", "words"),
    [
        pytest.param("127.0.0.1", "Expected to listen on 127.0.0.1, port", id="a port that is taken"),
        pytest.param("192.0.2.1", "Cannot assign requested address", id="an address of another machine"),
    ],
)
def test_an_address_that_cannot_be_listened_on_is_named(host: str, words: str) -> None:
    with bound("127.0.0.1", 0) as (taken,):
        taken.listen()
        with pytest.raises(ListenError, match=words), bound(host, taken.getsockname()[1]):
            pytest.fail("bound")


def test_serve_names_a_port_that_is_taken_and_makes_nothing(tmp_path: Path) -> None:
    with bound("127.0.0.1", 0) as (taken,):
        taken.listen()
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(app, ["serve", "--port", port, "--state", str(tmp_path / "state")])
    assert result.exit_code == 1
    assert f"Expected to listen on 127.0.0.1, port {port}: Address already in use." in " ".join(result.stderr.split())
    assert not (tmp_path / "state").exists()


def test_two_workers_write_one_journal_and_it_holds_every_card_that_left_them(tmp_path: Path) -> None:
    """Under load, and with one of them killed meanwhile."""
    body = json.dumps(json.loads(EXAMPLE.read_text(encoding="utf-8"))["request"])
    port, state = free_port(), tmp_path / "state"
    command = ("-m", "bedside.cli", "serve", "--workers", "2", "--port", str(port), "--state", str(state))
    with running(
        tmp_path, *command, "--as-of", "latest-observation", port=port, until="2 workers accept calls"
    ) as server:
        shown: list[str] = []
        calls = [threading.Thread(target=lambda: shown.extend(call(port, body, 40))) for _ in range(8)]
        for each in calls:
            each.start()
        eventually(lambda: len(shown) > 0 or not any(each.is_alive() for each in calls), "first answers")
        os.kill(min(server.workers()), signal.SIGKILL)
        for each in calls:
            each.join()
        assert server.stop() == 0, server.log.read_text(encoding="utf-8")
    assert len(set(shown)) == len(shown) == 8 * 40
    with Journal.open(url(state / "journal.db")) as journal:
        recorded = journal.calls(limit=10_000)
        cards = {card.card_uuid for entry in recorded for card in journal.cards_of(entry.call_id)}
    assert {entry.status for entry in recorded} == {"card"}
    assert set(shown) <= cards
    assert len(cards) - len(shown) <= 8  # committed, but killed before they left


def call(port: int, body: str, count: int) -> Iterator[str]:
    """The uuids of so many cards over one connection, made anew where a worker was killed."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    while count > 0:
        try:
            connection.request("POST", "/cds-services/sepsis", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
        except (ConnectionError, http.client.HTTPException):
            connection.close()
            continue
        assert answer.status == 200, content
        (card,) = json.loads(content)["cards"]
        yield card["uuid"]
        count -= 1
    connection.close()
