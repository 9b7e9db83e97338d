"""Entries as a server would record them, each with what a test wants to say about it."""

import contextlib
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np

from serving.journal_entries import CallEntry, CardEntry, FeedbackEntry, RefusalEntry, float32_bytes
from serving.pseudonym import Pseudonyms

NOW = datetime(2026, 3, 14, 9, 26, 53, 589793, tzinfo=UTC)
PSEUDONYMS = Pseudonyms(key=b"a key of thirty-two bytes, no le")


def url(path: Path) -> str:
    return f"sqlite:///{path}"


def scored_call(**changes: Any) -> CallEntry:
    """A live sepsis call with a probability; the second of three features is missing."""
    fields: dict[str, Any] = {
        "call_id": uuid4(),
        "received_at": NOW,
        "service_id": "sepsis",
        "status": "card",
        "http_status": 200,
        "duration_us": 1_800,
        "response_body": '{"cards":[{"summary":"Sepsisrisiko 14 % – 7× Durchschnitt"}]}'.encode(),
        "hook": "patient-view",
        "hook_instance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "locale": "de",
        "mode": "live",
        "model_version": "3",
        "bundle_fingerprint": "5e" * 32,
        "index_time": NOW - timedelta(minutes=4),
        "as_of_policy": "server-clock",
        "patient_pseudonym": PSEUDONYMS.of("patient-1"),
        "feature_vector": float32_bytes([118.0, np.nan, 0.1]),
        "missing_features": ("lactate_last_24h",),
        "refusals": {"unit": 2, "other-patient": 1},
        "logit": -1.8152899666382492,
        "probability": 0.14,
        "base_value": -3.9,
        "contributions": float32_bytes([1.5, 0.0, 0.6]),
        "evidence": {"heart_rate_mean_24h": {"value": 118.0, "unit": "/min", "previous": None}},
    }
    return CallEntry(**(fields | changes))


def failed_call(**changes: Any) -> CallEntry:
    """A call that was answered with an OperationOutcome."""
    fields: dict[str, Any] = {
        "call_id": uuid4(),
        "received_at": NOW,
        "service_id": "sepsis",
        "status": "error",
        "http_status": 400,
        "duration_us": 90,
        "response_body": b'{"resourceType":"OperationOutcome"}',
        "error_code": "malformed-json",
    }
    return CallEntry(**(fields | changes))


def call_without_data(**changes: Any) -> CallEntry:
    """A call below the model's minimum data."""
    no_result = {"logit": None, "probability": None, "base_value": None, "contributions": None}
    return scored_call(status="insufficient-data", **(no_result | changes))


def card_of(call: CallEntry, **changes: Any) -> CardEntry:
    fields: dict[str, Any] = {"card_uuid": str(uuid4()), "call_id": call.call_id, "indicator": "warning"}
    return CardEntry(**(fields | changes))


def feedback_on(card_uuid: str, **changes: Any) -> FeedbackEntry:
    fields: dict[str, Any] = {
        "card_uuid": card_uuid,
        "service_id": "sepsis",
        "outcome": "overridden",
        "outcome_timestamp": NOW + timedelta(minutes=2),
        "received_at": NOW + timedelta(minutes=3),
        "override_reason_code": "patient-not-septic",
        "override_reason_system": "https://example.org/override-reasons",
        "override_reason_display": "Patient ist nicht septisch",
        "user_comment": "Z. n. Marathon 🏃",
    }
    return FeedbackEntry(**(fields | changes))


def refused_requests(**changes: Any) -> RefusalEntry:
    """Three requests without a token, within a minute."""
    fields: dict[str, Any] = {
        "first_at": NOW,
        "last_at": NOW + timedelta(seconds=40),
        "at": "call",
        "http_status": 401,
        "error_code": "login",
        "count": 3,
        "service_id": "sepsis",
    }
    return RefusalEntry(**(fields | changes))


def call_ids(path: Path) -> set[UUID]:
    """The calls in a database file, read without the journal's own code."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return {UUID(call_id) for (call_id,) in connection.execute("SELECT call_id FROM calls")}


@contextlib.contextmanager
def write_lock(path: Path) -> Iterator[None]:
    """Another program writes: until the block ends, the journal's writer waits and its queue fills."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")
