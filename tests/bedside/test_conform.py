"""`bedside conform`: what it says before, what it prints, what it keeps, and how it ends."""

import io
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from joserfc import jwt
from rich.console import Console

from bedside.conform import (
    ADVICE_NOT_TAKEN,
    ALL_MET,
    BROKEN,
    NOT_CHECKED,
    ConformError,
    announcement,
    conform,
    exit_status,
    print_report,
    wanted_check,
    write_report,
)
from cds_hooks.conformance.checker import Report
from cds_hooks.conformance.finding import Result, Verdict
from cds_hooks.requirements import Level
from tests.cds_hooks.security.clients import ABSENT, ISSUER, client, ec_key, toml_keys
from tests.conformance.requests import request

STARTS_WITHIN_S = 60.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Our own server with the released models, in a process of its own."""
    with _serving(tmp_path_factory.mktemp("server") / "state") as url:
        yield url


@contextmanager
def _serving(state: Path, *more: str) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["serve", "--port", str(port), "--state", str(state), "--as-of", "latest-observation", *more]
    with state.with_name("log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "bedside.cli", *command], stdout=log, stderr=log)
        try:
            _wait_for(port, process, state.with_name("log"))
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"the server did not start: {log.read_text(encoding='utf-8')}")


def shown(report: Report) -> str:
    """What is printed, on one line."""
    console = Console(file=io.StringIO(), width=160)
    print_report(console, report)
    assert isinstance(console.file, io.StringIO)
    return " ".join(console.file.getvalue().replace("│", " ").split())


def test_our_own_server_in_a_process_of_its_own_breaks_nothing(server: str, tmp_path: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    report = conform(wanted_check(f"{server}/cds-services"), lambda *step: steps.append(step))
    assert [result for result in report.results if result.verdict is Verdict.NOT_MET] == []
    assert exit_status(report) == ALL_MET
    assert report.complete
    assert "sepsis" in report.services
    assert {result.id for result in report.results if result.verdict is Verdict.MET} >= {"R-01", "C-02", "B-02", "O-02"}
    assert steps[-1][1] == steps[-1][2] > 50
    printed = shown(report)
    assert "R-18" in printed
    assert " 0 not met" in printed
    write_report(report, tmp_path / "report.json")
    assert msgspec.json.decode((tmp_path / "report.json").read_bytes(), type=Report) == report


def test_our_own_server_with_registered_clients_breaks_nothing_for_one_of_them(tmp_path: Path) -> None:
    """Each call has a token of its own: the server takes none twice."""
    clients, key_file = tmp_path / "clients.toml", tmp_path / "key.json"
    clients.write_text(f"[[client]]\n{client(services=['*'], jwks_url=ABSENT)}\n{toml_keys(ec_key())}\n", "utf-8")
    key_file.write_text(json.dumps(ec_key().as_dict(private=True)), "utf-8")
    with _serving(tmp_path / "state", "--clients", str(clients)) as url:
        report = conform(wanted_check(url, issuer=ISSUER, key_file=key_file), lambda *_: None)
    results = {result.id: result for result in report.results}
    assert [result for result in results.values() if result.verdict is Verdict.NOT_MET] == []
    asked = ("A-04", "A-05", "A-12", "A-14", "A-15", "A-17", "A-19", "D-13", "H-03", "R-01", "C-02", "B-02")
    assert [each for each in asked if results[each].verdict is not Verdict.MET] == []


def test_a_token_is_signed_for_each_call_and_for_its_url(tmp_path: Path) -> None:
    key_file = tmp_path / "key.json"
    key_file.write_text(json.dumps(ec_key().as_dict(private=True)), "utf-8")
    wanted = wanted_check("https://cds.example", issuer=ISSUER, key_file=key_file)
    called = "https://cds.example/cds-services"
    one, other = (jwt.decode(str(wanted.authorization(called)), ec_key(), algorithms=["ES384"]) for _ in range(2))
    assert one.header == {"alg": "ES384", "kid": "ec-1", "typ": "JWT"}
    assert (one.claims["iss"], one.claims["aud"]) == (ISSUER, called)
    assert 0 < one.claims["exp"] - one.claims["iat"] <= 300
    assert one.claims["jti"] != other.claims["jti"]


@pytest.mark.parametrize(
    ("issuer", "key", "token", "complaint"),
    [
        pytest.param(None, ec_key().as_dict(private=True), None, "--issuer", id="no issuer"),
        pytest.param(ISSUER, {}, None, "expected one private key, got 0", id="no key"),
        pytest.param(ISSUER, ec_key().as_dict(private=True), "abc", "got both", id="a token as well"),
    ],
)
def test_a_key_that_nothing_can_be_signed_with_is_told(
    issuer: str | None, key: dict[str, Any], token: str | None, complaint: str, tmp_path: Path
) -> None:
    key_file, token_file = tmp_path / "key.json", tmp_path / "token"
    key_file.write_text(json.dumps(key), "utf-8")
    token_file.write_text(token or "", "ascii")
    with pytest.raises(ConformError, match=complaint):
        wanted_check("https://cds.example", issuer=issuer, key_file=key_file, token_file=token_file if token else None)


def test_what_will_be_done_is_said_before() -> None:
    said = announcement(wanted_check("https://cds.example", service="sepsis", seconds=90))
    assert said.startswith("Checking https://cds.example: discovery, and its service sepsis, with about")
    assert "at most 90 s" in said
    assert "All patients are invented" in said
    assert "Feedback" in said


def _report(*results: tuple[str, Level, Verdict]) -> Report:
    return Report(
        url="https://cds.example",
        services=("a",),
        calls=1,
        seconds=0.1,
        complete=True,
        results=tuple(
            Result(id=each, level=level, verdict=verdict, evidence=f"[red]{each}") for each, level, verdict in results
        ),
    )


@pytest.mark.parametrize(
    ("level", "verdict", "expected"),
    [
        ("SHALL", Verdict.MET, ALL_MET),
        ("SHALL", Verdict.UNSEEN, ALL_MET),
        ("SHALL", Verdict.NOT_MET, BROKEN),
        ("SHALL NOT", Verdict.NOT_MET, BROKEN),
        ("KIT", Verdict.NOT_MET, BROKEN),
        ("SHOULD", Verdict.NOT_MET, ADVICE_NOT_TAKEN),
        ("KIT~", Verdict.NOT_MET, ADVICE_NOT_TAKEN),
        ("MAY", Verdict.NOT_MET, ADVICE_NOT_TAKEN),
    ],
)
def test_it_ends_with_zero_only_if_nothing_is_not_met(level: Level, verdict: Verdict, expected: int) -> None:
    assert exit_status(_report(("R-01", level, verdict))) == expected
    if expected == ADVICE_NOT_TAKEN:
        assert exit_status(_report(("R-01", level, verdict), ("R-02", "SHALL", Verdict.NOT_MET))) == BROKEN


def test_a_check_of_no_service_is_no_success() -> None:
    """A token that is refused shows nothing of a server: that must not read as conforming."""
    report = msgspec.structs.replace(_report(("R-01", "SHALL", Verdict.UNSEEN)), services=())
    assert exit_status(report) == NOT_CHECKED


def test_what_a_server_says_is_printed_as_text_and_what_is_not_met_once_more_at_the_end() -> None:
    report = _report(("R-01", "SHALL", Verdict.NOT_MET), ("X-36", "SHALL", Verdict.UNSEEN))
    printed = shown(report)
    assert printed.count("[red]R-01") == 2
    assert printed.count("[red]X-36") == 1
    assert printed.index("Not met") > printed.index("X-36")
    assert "0 met, 1 not met, 0 not applicable, 1 could not be seen" in printed
    assert "The limits of the check were reached" in shown(msgspec.structs.replace(report, complete=False))


def test_a_request_of_ones_own_and_a_token_are_read_from_files(tmp_path: Path) -> None:
    (tmp_path / "request.json").write_text(json.dumps(request()), encoding="utf-8")
    (tmp_path / "token").write_text("abc.def\n", encoding="ascii")
    wanted = wanted_check(
        "https://cds.example", requests=[tmp_path / "request.json"], token_file=tmp_path / "token", origin="https://a.b"
    )
    assert wanted.requests == {"patient-view": request()}
    assert wanted.authorization("https://cds.example/cds-services") == "abc.def"
    assert wanted.origin == "https://a.b"
    assert "abc" not in repr(replace(wanted, requests={}))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "The request cannot be read"),
        (b"{", "request.json: expected a CDS Hooks request as JSON: Input data was truncated"),
        (b"[]", "Expected `object`, got `array`"),
        (b'{"hook": "patient-view"}', "missing required field `context`"),
        (b'{"hook": "patient-view", "context": {}, "prefetch": []}', "prefetch"),
        (b"[" * 100_000, "expected a CDS Hooks request"),
    ],
    ids=["absent", "cut-short", "array", "no-context", "prefetch", "deep"],
)
def test_a_request_that_is_none_is_told(tmp_path: Path, content: bytes | None, complaint: str) -> None:
    if content is not None:
        (tmp_path / "request.json").write_bytes(content)
    with pytest.raises(ConformError, match=complaint):
        wanted_check("https://cds.example", requests=[tmp_path / "request.json"])


@pytest.mark.parametrize("content", [None, b"", b"two words", b"\xff", b"a\nb"], ids=repr)
def test_a_token_that_is_none_is_told_and_never_repeated(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    with pytest.raises(ConformError, match="token") as caught:
        wanted_check("https://cds.example", token_file=tmp_path / "token")
    assert "words" not in str(caught.value)


def test_a_token_does_not_travel_unencrypted(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("abc", encoding="ascii")
    with pytest.raises(ConformError, match="Expected https with a token"):
        wanted_check("http://cds.example", token_file=tmp_path / "token")


@pytest.mark.parametrize("origin", ["*", "ehr.example", "https://ehr.example/", "https://ähr.example"])
def test_an_origin_that_is_none_is_told(origin: str) -> None:
    with pytest.raises(ConformError, match="origin"):
        wanted_check("https://cds.example", origin=origin)


def test_nobody_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(ConformError, match="no connection"):
        conform(wanted_check(f"http://127.0.0.1:{port}"), lambda *_: None)


def test_certificates_that_are_none_are_told(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("none", encoding="ascii")
    with pytest.raises(ConformError, match=r"ca.pem: expected certificates in PEM"):
        conform(wanted_check("https://cds.example", ca_file=tmp_path / "ca.pem"), lambda *_: None)


def test_a_report_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConformError, match="cannot be written"):
        write_report(_report(), tmp_path / "nowhere" / "report.json")
