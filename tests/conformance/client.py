"""A CDS client without a network: it speaks HTTP to an application in the same process."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI

from cds_hooks.response import CdsResponse, decode_response

Headers = dict[str, str]


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request to be sent; `body` is sent as it is when bytes, as JSON otherwise."""

    method: str
    path: str
    body: Any = None
    headers: Headers | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """Sends calls, several at once if asked to."""

    app: FastAPI

    def send_all(self, calls: Sequence[Call]) -> list[httpx.Response]:
        """Send in parallel; answers come in the order of the calls."""
        return asyncio.run(self._send_all(calls))

    def send(self, method: str, path: str, body: Any = None, headers: Headers | None = None) -> httpx.Response:
        """Send one call."""
        (response,) = self.send_all([Call(method, path, body, headers)])
        return response

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        """POST JSON, or bytes declared as JSON."""
        return self.send("POST", path, body, {name.replace("_", "-"): value for name, value in headers.items()})

    async def _send_all(self, calls: Sequence[Call]) -> list[httpx.Response]:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="https://cds.example") as client:
            return list(await asyncio.gather(*(_sent(client, call) for call in calls)))


async def _sent(client: httpx.AsyncClient, call: Call) -> httpx.Response:
    headers = dict(call.headers or {})
    content = None
    if call.body is not None:
        content = call.body if isinstance(call.body, bytes) else json.dumps(call.body).encode()
        headers.setdefault("content-type", "application/json")
    return await client.request(call.method, call.path, content=content, headers=headers)


def strict_json(body: bytes) -> Any:
    """Read JSON as RFC 8259 has it: no NaN, no Infinity."""

    def refuse(constant: str) -> Any:
        raise AssertionError(f"not strict JSON: {constant}")

    return json.loads(body.decode("utf-8"), parse_constant=refuse)


def cards(response: httpx.Response) -> CdsResponse:
    """The answer of a service, after all its rules have been checked."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    strict_json(response.content)
    return decode_response(response.content)


def refused(response: httpx.Response, status: int | None = None) -> dict[str, Any]:
    """The one issue of a refusal, after the OperationOutcome has been checked."""
    assert 400 <= response.status_code < 500, response.text
    return failed(response, status)


def failed(response: httpx.Response, status: int | None = None) -> dict[str, Any]:
    """The one issue of any error, after the OperationOutcome has been checked."""
    if status is not None:
        assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/fhir+json"
    document = strict_json(response.content)
    assert document["resourceType"] == "OperationOutcome"
    (issue,) = document["issue"]
    assert issue["severity"] in {"fatal", "error"}
    assert issue["code"]
    assert issue["diagnostics"]
    assert isinstance(issue, dict)
    return issue
