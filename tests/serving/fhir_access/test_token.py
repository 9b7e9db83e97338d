"""The access token is used for the call that brought it, and is nowhere afterwards (X-36, Z-06)."""

# ruff: noqa: N802 - a test that holds a requirement carries its id

import logging
from collections.abc import Mapping

import pytest

from tests.features.client.fake_server import FakeServer, Reply, Script, json
from tests.fhir_builders import EMPTY, OUTCOME, searchset
from tests.serving.access.hospital import TOKEN
from tests.serving.fhir_access.server import Server, with_access, without

LOGGERS = ("", "bedside.services", "bedside.access", "cds_hooks", "cds_hooks.security", "httpx", "asyncio")
ANSWERS: Mapping[str, Script] = {
    "an answer": json(EMPTY),
    "a refusal": json(OUTCOME, status=401),
    "an echo of the token": lambda asked: Reply(status=500, body=asked.headers["authorization"].encode()),
    "an answer that breaks off": Reply(body=b'{"resourceType":"Bundle"}', cut=9),
    "a redirect with the token in it": Reply(status=302, headers={"Location": f"https://x.example/?t={TOKEN}"}),
    "a next link with the token in it": json(searchset(next_url=f"https://x.example/?t={TOKEN}")),
}


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Every logger of ours, at its most talkative."""
    for name in LOGGERS:
        caplog.set_level(logging.DEBUG, logger=name)
    # The HTTP library's own debugging shows the headers of answers, whatever they hold; no server of ours turns it on.
    caplog.set_level(logging.INFO, logger="httpcore")
    return caplog


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_X_36_Z_06_the_token_is_neither_kept_nor_logged_nor_told(
    answer: Script, everything_logged: pytest.LogCaptureFixture, server: Server, fake: FakeServer
) -> None:
    fake.on("/fhir/Condition", answer)
    response = server.post(with_access(fake.base, prefetch=without("conditions")))
    assert fake.asked[0].headers["authorization"] == f"Bearer {TOKEN}"
    logged = "\n".join(f"{record.getMessage()} {vars(record)!r}" for record in everything_logged.records)
    assert "fhir_access" in logged
    assert TOKEN not in logged
    assert TOKEN not in response.text + str(response.headers)
    server.host.journal.close()
    assert not any(TOKEN.encode() in path.read_bytes() for path in server.host.folder.glob("journal.db*"))
