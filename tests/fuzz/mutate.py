"""Mutations of JSON: bytes alone seldom get past the decoder, so half the time a value is exchanged instead."""

import copy
import json
import random
from collections.abc import Callable
from typing import Any, Final

# What a client could send where something else is expected. Texts that look like something are worth more than noise.
VALUES: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 1, 0.5, -0.0, 37.2, 140, 1e-300, 1e300, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63),
    "", " ", "0", "12,3", "<5", "NaN", "Infinity", "null", "\u0000", "\ufeff", "é", "e\u0301", "👩‍⚕️", "שלום", "\u202e",
    "x" * 300,
    "2026", "2026-02-30", "2026-03-14", "2026-03-14T09:00:00Z", "2026-03-14T24:00:00Z", "2026-03-14T09:00:60+14:00",
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-03-14T09:00:00.123456789Z",
    "final", "entered-in-error", "cancelled", "match", "outcome", "searchset", "next", "active", "unknown", "female",
    "Observation", "Patient", "Bundle", "OperationOutcome", "Condition", "MedicationRequest", "DiagnosticReport",
    "Patient/p1", "Patient/p1/_history/2", "#contained", "urn:uuid:d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
    "http://loinc.org", "2160-0", "8867-4", "http://unitsofmeasure.org", "mg/dL", "/min", "Cel", "[degF]",
    "%", "10*9/L",
    "<script>alert(1)</script>", "[x](javascript:alert(1))", "../../etc/passwd", "{{context.patientId}}",
    [], {}, [[]], [{}], [None], {"": {}}, {"value": 1}, {"coding": []}, {"reference": None},
    {"resourceType": "Observation"},
)  # fmt: skip

# What JSON's own encoder would never write.
RAW: Final = (
    b"NaN", b"-Infinity", b"1e999", b"-1e-999", b"9" * 400, b"1." + b"0" * 400, b"0x1", b"01", b'"\\ud800"',
    b'"\\u0000"',
    b'"\xff"', b"\xef\xbb\xbf", b"[" * 60 + b"]" * 60, b'{"a":' * 60 + b"1" + b"}" * 60, b"[" * 2000, b"/**/",
    b'{"a":1,"a":2}',
)  # fmt: skip

_MARK: Final = "\u241frepl\u241f"


def mutated(data: bytes, limit: int, seed: int, of_bytes: Callable[[bytes, int], bytes]) -> bytes:
    """Another body of at most `limit` bytes.

    Args:
        data: the body to change.
        limit: its most bytes.
        seed: decides what is changed.
        of_bytes: changes bytes without knowing what they mean.
    """
    draw = random.Random(seed)  # noqa: S311 - chance, not secrecy
    if draw.random() < 0.4:
        return of_bytes(data, limit)
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return of_bytes(data, limit)
    raw = b""
    for _ in range(1 + draw.randrange(3)):
        document, raw = _changed(document, draw)
    body = json.dumps(document, ensure_ascii=draw.random() < 0.5).encode("utf-8", "surrogatepass")
    if raw:
        body = body.replace(json.dumps(_MARK, ensure_ascii=False).encode(), raw)
        body = body.replace(json.dumps(_MARK).encode(), raw)
    return body if len(body) <= limit else of_bytes(data, limit)


def _changed(document: Any, draw: random.Random) -> tuple[Any, bytes]:
    """The document with one place changed, and the raw JSON that its mark stands for, if any."""
    places = list(_places(document))
    if not places:
        return copy.deepcopy(draw.choice(VALUES)), b""
    parent, key = draw.choice(places)
    other_parent, other_key = draw.choice(places)
    other = copy.deepcopy(other_parent[other_key])  # a copy: nothing may come to lie in itself
    match draw.randrange(6):
        case 0:
            del parent[key]
        case 1 if isinstance(parent, list):
            parent.insert(key, other)
        case 1:
            parent[str(other_key)] = other
        case 2:
            parent[key] = other
        case 3:
            parent[key] = _MARK
            return document, draw.choice(RAW)
        case _:
            parent[key] = copy.deepcopy(draw.choice(VALUES))
    return document, b""


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Each place that holds a value, as its container and its key there."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        one = waiting.pop()
        keys = list(one) if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else ()
        for key in keys:
            found.append((one, key))
            waiting.append(one[key])
    return found
