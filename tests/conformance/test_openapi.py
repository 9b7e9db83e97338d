"""The OpenAPI document: true of what is taken and of what comes back, with an example for every hook of the library."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, settings
from jsonschema_rs import Draft202012Validator
from starlette.types import ASGIApp, Receive, Scope, Send

from cds_hooks import openapi_schemas
from cds_hooks.discovery import ServiceDescription, ServiceRegistry
from cds_hooks.feedback import FeedbackEntry, decode_feedback
from cds_hooks.hooks import HOOKS
from cds_hooks.request import CdsRequest, decode_request
from cds_hooks.response import Card, CdsResponse, Source, decode_response, encode_response
from cds_hooks.router import cds_router
from cds_hooks.security.caller import Caller
from tests.conformance.test_authentication import guarded
from tests.conformance.weight_check import weight_app
from tests.hosts import Host

Json = dict[str, Any]

Case: TypeAlias = schemathesis.Case[Any]

CALL, FEEDBACK = "/cds-services/{service_id}", "/cds-services/{service_id}/feedback"
SERVABLE = [name for name, hook in HOOKS.items() if not hook.deprecated]


class Everything:
    """A host with one service on every hook, which has a card for whatever the schema allows."""

    registry = ServiceRegistry(
        services=tuple(ServiceDescription(hook=hook, id="any", title="Any", description="All.") for hook in SERVABLE)
    )

    async def call(
        self, service_id: str, request: CdsRequest, headers: Mapping[str, str], caller: Caller | None
    ) -> bytes:
        assert (service_id, caller, "content-type" in headers) == ("any", None, True)
        card = Card(summary=f"On {request.hook}", indicator="info", source=Source(label="Any"))
        return encode_response(CdsResponse(cards=(card,)))

    async def feedback(self, service_id: str, entries: tuple[FeedbackEntry, ...], caller: Caller | None) -> None:
        assert (service_id, caller) == ("any", None)
        assert all(entry.card for entry in entries)


def everything() -> FastAPI:
    app = FastAPI()
    app.include_router(cds_router(Everything()))
    return app


def config(service_id: str, *accepted: str) -> schemathesis.Config:
    """All of schemathesis' checks; `accepted` are the statuses that a request which fits the schema may get."""
    return schemathesis.Config.from_dict(
        {
            "parameters": {"path.service_id": service_id},
            "checks": {
                "positive_data_acceptance": {"expected-statuses": list(accepted)},
                "negative_data_rejection": {"expected-statuses": ["4xx"]},  # 413 is a refusal too
            },
            "generation": {"deterministic": True, "database": "none"},
        }
    )


def only_the_library(app: FastAPI) -> FastAPI:
    """The application, whose document has no hooks of an organisation's own: it serves none."""
    document = app.openapi()
    of_request = document["paths"][CALL]["post"]["requestBody"]["content"]["application/json"]
    of_request["schema"] = openapi_schemas.request_on(*openapi_schemas.REQUEST_ON.values())
    of_request["examples"] = {name: value for name, value in of_request["examples"].items() if "own" not in name}
    return app


class Behind:
    """An application that can be exchanged: documents are read before there are models, and answers come after."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


LIBRARY = schemathesis.openapi.from_asgi("/openapi.json", only_the_library(everything()), config=config("any", "200"))
# Generated records lack what the model needs, and most hooks are not its own.
BEHIND = Behind(everything())
SERVER = schemathesis.openapi.from_asgi("/openapi.json", BEHIND, config=config("tiny", "200", "400", "412"))

_bounded = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@LIBRARY.parametrize()
@_bounded
def test_what_fits_the_schema_is_taken_and_all_else_refused_as_documented(case: Case) -> None:
    case.call_and_validate()


@SERVER.parametrize()
@_bounded
def test_a_server_with_a_model_answers_as_documented(case: Case, host: Host) -> None:
    BEHIND.app = host.client.app
    case.call_and_validate()


@cache
def document() -> Json:
    return everything().openapi()


def content(path: str, method: str, status: str | None = None) -> Json:
    """The JSON of a request or an answer in the document: its schema and its examples."""
    operation = document()["paths"][path][method]
    holder = operation["requestBody"] if status is None else operation["responses"][status]
    (found,) = holder["content"].values()
    assert isinstance(found, dict)
    return found


def examples(path: str, method: str, status: str | None = None) -> Mapping[str, Any]:
    return {name: example["value"] for name, example in content(path, method, status)["examples"].items()}


def operations() -> list[tuple[str, str, str | None]]:
    return [
        (path, method, status)
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
        for status in (*(["body"] if "requestBody" in operation else []), *operation["responses"])
    ]


@pytest.mark.parametrize(("path", "method", "status"), operations())
def test_every_example_fits_its_schema(path: str, method: str, status: str) -> None:
    if (path, status) == (FEEDBACK, "200"):
        return  # an answer without a body
    where = None if status == "body" else status
    schema = content(path, method, where)["schema"]
    assert examples(path, method, where)
    for value in examples(path, method, where).values():
        Draft202012Validator(schema).validate(value)


def test_there_is_an_example_of_every_hook_that_a_service_may_be_on() -> None:
    requests = examples(CALL, "post").values()
    assert set(SERVABLE) <= {decode_request(json.dumps(request).encode()).hook for request in requests}


def test_the_examples_are_read_by_those_who_read_what_is_sent() -> None:
    for answer in examples(CALL, "post", "200").values():
        assert decode_response(json.dumps(answer).encode()).cards or answer == {"cards": []}
    for feedback in examples(FEEDBACK, "post").values():
        assert decode_feedback(json.dumps(feedback).encode())


def test_every_refusal_is_documented_as_an_operation_outcome() -> None:
    for path, method, status in operations():
        if status is not None and status.isdigit() and int(status) >= 400:
            assert content(path, method, status)["schema"] == openapi_schemas.OUTCOME


@pytest.mark.parametrize("asks", [pytest.param(True, id="asks who calls"), pytest.param(False, id="lets everyone in")])
def test_the_openapi_document_says_whether_a_token_is_needed(asks: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a parameter
    app = guarded(tmp_path).client.app if asks else weight_app()
    document = app.openapi()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len(operations) == 3
    for operation in operations:
        assert operation.get("security", []) == ([{"client": []}] if asks else [])
        assert {"401", "429", "503"} <= set(operation["responses"])
    schemes = document.get("components", {}).get("securitySchemes", {})
    assert [(scheme["type"], scheme["scheme"]) for scheme in schemes.values()] == ([("http", "bearer")] if asks else [])
