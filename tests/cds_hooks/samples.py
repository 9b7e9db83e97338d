"""Small valid requests, as a client would send them; tests change one thing at a time."""

import copy
import json
from typing import Any

HOOK_INSTANCE = "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea"

PATIENT_VIEW: dict[str, Any] = {
    "hook": "patient-view",
    "hookInstance": HOOK_INSTANCE,
    "context": {"userId": "Practitioner/example", "patientId": "p1"},
}

ABSENT = object()
"""As a value in `changed`: the field is taken away."""


def changed(document: dict[str, Any], **changes: object) -> dict[str, Any]:
    """A copy of a document with fields replaced; `context__patientId=...` reaches one level down."""
    result = copy.deepcopy(document)
    for path, value in changes.items():
        *parents, name = path.split("__")
        target = result
        for parent in parents:
            target = target[parent]
        if value is ABSENT:
            del target[name]
        else:
            target[name] = value
    return result


def encoded(document: object) -> bytes:
    """Strict JSON."""
    return json.dumps(document, allow_nan=False).encode()
