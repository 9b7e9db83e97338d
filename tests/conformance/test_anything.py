"""H-06: whatever is sent, the answer is a valid response or an honest refusal, never a fault."""

# ruff: noqa: N802 - a conformance test carries the id of its requirement

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conformance.client import Client, cards, refused
from tests.conformance.requests import CALL, FEEDBACK, request, searchset, weight
from tests.conformance.weight_check import weight_app

_CLIENT = Client(weight_app())

_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=20)
_any_json = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_fields = ["hook", "hookInstance", "context", "prefetch", "fhirServer", "fhirAuthorization", "extension"]
_bounded = settings(max_examples=60, deadline=None, derandomize=True)


def _check(body: bytes, path: str = CALL) -> None:
    response = _CLIENT.post(path, body)
    if response.status_code != 200:
        refused(response)
    elif path == CALL:
        cards(response)


def _body(document: Any) -> bytes:
    return json.dumps(document).encode()


@given(st.binary(max_size=200))
@_bounded
def test_H_06_any_bytes(body: bytes) -> None:
    _check(body)
    _check(body, FEEDBACK)


@given(_any_json)
@_bounded
def test_H_06_any_json(document: Any) -> None:
    _check(_body(document))
    _check(_body({"feedback": document}), FEEDBACK)


@given(st.dictionaries(st.sampled_from(_fields), _any_json, min_size=1, max_size=3))
@_bounded
def test_H_06_a_good_request_with_any_fields_replaced(fields: dict[str, Any]) -> None:
    _check(_body(request(**fields)))


@given(_any_json, st.dictionaries(st.sampled_from(["status", "effectiveDateTime", "valueQuantity"]), _any_json))
@_bounded
def test_H_06_any_prefetch(value: Any, fields: dict[str, Any]) -> None:
    _check(_body(request(value)))
    _check(_body(request(searchset(weight(72, 20, **fields), weight(80, 1)))))


@given(st.data())
@_bounded
def test_H_06_a_good_request_with_one_byte_changed(data: st.DataObject) -> None:
    body = bytearray(_body(request()))
    position = data.draw(st.integers(0, len(body) - 1))
    body[position] = data.draw(st.integers(0, 255))
    _check(bytes(body))
