"""Limits: how much may come, in which form and how slowly; each with its status, and a body at the limit is taken."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from cds_hooks.feedback import BODY_LIMIT_BYTES as FEEDBACK_LIMIT_BYTES
from cds_hooks.feedback import ENTRY_LIMIT as FEEDBACK_LIMIT
from cds_hooks.request import CONTEXT_LIMIT_BYTES, ENTRY_LIMIT, OBJECT_LIMIT
from cds_hooks.router import cds_router
from tests.conformance.client import Client, cards, refused
from tests.conformance.requests import CALL, FEEDBACK, LOSS, OVERRIDDEN, feedback, request, searchset
from tests.conformance.weight_check import WeightCheck

BODY = json.dumps(request()).encode()
PATIENCE_S = 10.0


def with_context(size: int) -> bytes:
    """A call whose context takes so many bytes."""
    context = {"userId": "Practitioner/1", "patientId": "p1", "x": ""}
    context["x"] = "x" * (size - len(json.dumps(context)))
    return json.dumps(request(context=context)).encode()


def test_a_context_is_taken_up_to_its_limit(client: Client) -> None:
    assert cards(client.post(CALL, with_context(CONTEXT_LIMIT_BYTES))).cards
    issue = refused(client.post(CALL, with_context(CONTEXT_LIMIT_BYTES + 1)), 413)
    assert (issue["code"], issue["expression"]) == ("too-long", ["context"])


def test_a_context_over_its_limit_does_not_pass_in_front_of_a_second_one(client: Client) -> None:
    """The last one counts; and the first, of which nobody wants anything, is not made into objects."""
    large = b'{"context":{"x":[' + b"1e999," * (CONTEXT_LIMIT_BYTES // 6) + b'0]},"fhirServer":"https://a.example",'
    assert cards(client.post(CALL, large + BODY[1:])).cards


def test_what_is_wrong_in_a_context_is_told_where_it_stands_however_long_the_request_is(client: Client) -> None:
    body = json.dumps(request(context=[], extension={"x": "x" * CONTEXT_LIMIT_BYTES})).encode()
    assert refused(client.post(CALL, body), 400)["expression"] == ["context"]


def test_a_body_of_too_many_objects_is_refused_wherever_they_stand(client: Client) -> None:
    observation = {"resource": {"resourceType": "Observation", "component": [{}] * OBJECT_LIMIT}}
    issue = refused(client.post(CALL, request(searchset(observation))), 413)
    assert issue["code"] == "too-costly"


@pytest.mark.parametrize("entry", [{}, {"resource": {}}, {"resource": None}], ids=json.dumps)
def test_a_prefetched_bundle_of_too_many_entries_is_refused_whatever_they_are(client: Client, entry: object) -> None:
    issue = refused(client.post(CALL, request(searchset(*[entry] * (ENTRY_LIMIT + 1)))), 413)
    assert (issue["code"], issue["expression"]) == ("too-costly", ["prefetch"])


def test_a_prefetched_bundle_is_looked_through_up_to_its_limit(client: Client) -> None:
    several = {
        "weights": LOSS,
        "a": searchset(*[{}] * ENTRY_LIMIT),
        "b": searchset(*[{}] * 10),
        "c": [{}] * ENTRY_LIMIT,
    }
    assert cards(client.post(CALL, request(prefetch=several))).cards


def test_feedback_is_taken_up_to_its_limit(client: Client) -> None:
    assert client.post(FEEDBACK, feedback(*[OVERRIDDEN] * FEEDBACK_LIMIT)).status_code == 200
    issue = refused(client.post(FEEDBACK, feedback(*[OVERRIDDEN] * (FEEDBACK_LIMIT + 1))), 413)
    assert (issue["code"], issue["expression"]) == ("too-costly", ["feedback"])


def test_feedback_does_not_fill_the_account_with_one_long_comment(client: Client) -> None:
    comment = OVERRIDDEN | {"overrideReason": {"userComment": "x" * FEEDBACK_LIMIT_BYTES}}
    assert refused(client.post(FEEDBACK, feedback(comment)), 413)["code"] == "too-long"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "GZIP", "identity, gzip", "nonsense", ""])
def test_a_body_is_never_inflated(client: Client, coding: str) -> None:
    """RFC 9110, section 15.5.16: the answer names what would be taken."""
    response = client.post(CALL, gzip.compress(BODY), content_encoding=coding)
    refused(response, 415)
    assert response.headers["accept-encoding"] == "identity"


def test_a_bomb_is_refused_unread(client: Client) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    assert len(bomb) < 100_000
    refused(client.post(CALL, bomb, content_encoding="gzip"), 415)
    assert refused(client.post(CALL, bomb), 400)["code"] == "structure"


def test_a_body_that_is_said_to_be_as_it_is_is_read(client: Client) -> None:
    assert cards(client.post(CALL, BODY, content_encoding="Identity")).cards


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "utf-7"])
@pytest.mark.parametrize("path", [CALL, FEEDBACK])
def test_any_encoding_other_than_utf_8_is_refused(client: Client, encoding: str, path: str) -> None:
    text = json.dumps(request() | feedback(OVERRIDDEN))
    body = b"+AHsAfQ-" if encoding == "utf-7" else text.encode(encoding)
    assert refused(client.post(path, body), 400)["code"] == "structure"


@pytest.mark.parametrize(
    ("twice", "status"),
    [
        ('"hook": "order-sign", "hook": "patient-view"', 200),
        ('"hook": "patient-view", "hook": "order-sign"', 400),
        ('"context": {"patientId": 1}, "context": {"patientId": "p1", "userId": "Practitioner/1"}', 200),
        ('"context": {"patientId": 1, "patientId": "p1", "userId": "Practitioner/1"}', 200),
        ('"context": {"patientId": "p1", "patientId": 1, "userId": "Practitioner/1"}', 400),
        ('"prefetch": {"weights": 1, "weights": null}', 200),
        ('"prefetch": {"weights": null, "weights": 1}', 412),
    ],
)
def test_of_a_key_that_comes_twice_the_last_counts_everywhere(client: Client, twice: str, status: int) -> None:
    """JSON leaves it open (RFC 8259, section 4); what matters is that no two readers here differ."""
    name = twice.partition(":")[0].strip('"')
    rest = json.dumps({key: value for key, value in request().items() if key != name})
    assert client.post(CALL, f"{rest[:-1]}, {twice}}}".encode()).status_code == status


@pytest.mark.parametrize("path", [CALL, FEEDBACK])
def test_a_body_that_does_not_come_in_time_is_given_up(path: str) -> None:
    app = FastAPI()
    app.include_router(cds_router(WeightCheck(), body_seconds=0.1))
    pieces_sent = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal pieces_sent
        for byte in BODY:
            pieces_sent += 1
            yield bytes([byte])
            await asyncio.sleep(0.02)

    response = _posted(app, path, pieces())
    refused(response, 408)
    assert response.headers["connection"] == "close"
    assert pieces_sent < len(BODY)


def _posted(app: FastAPI, path: str, content: Any) -> httpx.Response:
    async def go() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with (
            asyncio.timeout(PATIENCE_S),
            httpx.AsyncClient(transport=transport, base_url="https://cds.example") as client,
        ):
            return await client.post(path, content=content, headers={"content-type": "application/json"})

    return asyncio.run(go())
