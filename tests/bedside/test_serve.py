"""`bedside serve`: development says so and stays on this machine; production starts only as production."""

import socket
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import serving.listening
from bedside.cli import app


@pytest.fixture(autouse=True)
def nothing_is_served(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What would have been served, with which options."""
    served: list[dict[str, Any]] = []
    monkeypatch.setattr(serving.listening, "serve_alone", lambda _app, _sockets, **options: served.append(options))
    return served


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def serve(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["serve", "--port", free_port(), "--state", str(folder / "state"), *options])


def test_without_options_a_development_server_starts_and_says_loudly_what_it_is(
    tmp_path: Path, nothing_is_served: list[dict[str, Any]]
) -> None:
    result = serve(tmp_path)
    assert result.exit_code == 0, result.output
    assert "DEVELOPMENT server: anyone is answered, on this machine. For invented patients alone." in result.output
    assert nothing_is_served == [{"tls": None}]


def test_a_development_server_is_not_reached_from_other_machines(
    tmp_path: Path, nothing_is_served: list[dict[str, Any]]
) -> None:
    result = serve(tmp_path, "--host", "0.0.0.0")  # noqa: S104 - refused
    assert result.exit_code == 1
    assert "Expected an address of this machine alone (127.0.0.1, ::1), got 0.0.0.0" in result.output
    assert "--environment production" in result.output
    assert nothing_is_served == []
    assert not (tmp_path / "state").exists()


def test_whoever_exposes_a_development_server_is_told_what_that_means(tmp_path: Path) -> None:
    result = serve(tmp_path, "--host", "0.0.0.0", "--expose")  # noqa: S104 - on purpose
    assert result.exit_code == 0, result.output
    assert "anyone is answered, from ANY MACHINE that reaches it" in result.output


def test_production_does_not_start_by_a_word_alone(tmp_path: Path, nothing_is_served: list[dict[str, Any]]) -> None:
    result = serve(tmp_path, "--environment", "production")
    assert result.exit_code == 1
    assert "production does not start with these settings:" in result.output
    assert "- clients: expected client registrations, got none" in result.output
    assert nothing_is_served == []
    assert not (tmp_path / "state").exists()
