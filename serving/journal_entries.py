"""Entries: what the journal takes account of. Validated when built, trusted afterwards."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import numpy as np
from numpy.typing import ArrayLike, NDArray

Status = Literal["card", "insufficient-data", "not-triggered", "error"]
Mode = Literal["shadow", "live"]
Indicator = Literal["info", "warning", "critical"]
Outcome = Literal["accepted", "overridden"]
RefusedAt = Literal["discovery", "call", "feedback", "elsewhere"]

_FLOAT32 = np.dtype("<f4")  # little-endian on every machine: a journal can be read elsewhere
_SHA256 = re.compile("[0-9a-f]{64}")
_NAMED_BY_MODEL = (
    "mode",
    "model_version",
    "bundle_fingerprint",
    "index_time",
    "as_of_policy",
    "patient_pseudonym",
)
_SCORED = ("logit", "probability", "base_value", "feature_vector")
_OF_PATIENT = ("patient_pseudonym", *_SCORED, "contributions", "evidence", "index_time")


def float32_bytes(values: ArrayLike) -> bytes:
    """Numbers of shape [F] as F little-endian float32; NaN (missing) is kept."""
    return np.asarray(values, dtype=_FLOAT32).tobytes()


def float32_array(blob: bytes) -> NDArray[np.float32]:
    """What ``float32_bytes`` stored, shape [F]."""
    return np.frombuffer(blob, dtype=_FLOAT32).astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEntry:
    """One call of a service and everything that its answer was made of.

    With the bundle named by ``bundle_fingerprint`` the card can be computed again from ``feature_vector`` and
    ``evidence``; ``response_body`` holds the bytes that were sent. An error carries no patient data.

    Args:
        call_id: made by the server for this call; unique.
        received_at: when the request came, aware UTC.
        status: "card" has a probability; "insufficient-data" has none; "not-triggered" answered no card, for no
            draft order asked for one; "error" answered an OperationOutcome.
        duration_us: handling time before this entry was handed over, in microseconds.
        response_body: the exact bytes of the answer.
        index_time: the instant whose past was read, aware UTC; ``as_of_policy`` says how it was chosen.
        patient_pseudonym: from ``Pseudonyms.of``; anything else is refused.
        feature_vector: float32[F] of the bundle's features, by ``float32_bytes``.
        contributions: float32[F] in log-odds; None where the explanation was dropped.
        refusals: how many FHIR values were refused, by reason.
        evidence: a JSON value: what the card's text says about each value (unit, time, previous value).
        error_code: the machine-readable reason of an "error".
        client: name of the client's registration; None where clients are not authenticated.
        tenant: the organisation that the client speaks for, if its token says; of the token nothing else is kept.
        fhir_requests: sent to the client's FHIR server for what the prefetch lacked; None where reading was not tried.
        fhir_duration_us: how long reading took, in microseconds.

    Raises:
        ValueError: a field is missing for this status, not allowed with it, or malformed.
    """

    call_id: UUID
    received_at: datetime
    service_id: str
    status: Status
    http_status: int
    duration_us: int
    response_body: bytes
    hook: str | None = None
    hook_instance: str | None = None
    locale: str | None = None
    mode: Mode | None = None
    error_code: str | None = None
    model_version: str | None = None
    bundle_fingerprint: str | None = None
    index_time: datetime | None = None
    as_of_policy: str | None = None
    patient_pseudonym: str | None = None
    feature_vector: bytes | None = None
    missing_features: tuple[str, ...] = ()
    refusals: Mapping[str, int] = field(default_factory=dict)
    logit: float | None = None
    probability: float | None = None
    base_value: float | None = None
    contributions: bytes | None = None
    evidence: Any = None
    client: str | None = None
    tenant: str | None = None
    fhir_requests: int | None = None
    fhir_duration_us: int | None = None

    def __post_init__(self) -> None:
        _require_utc(self, "received_at", "index_time")
        _require_sha256(self, "bundle_fingerprint", "patient_pseudonym")
        self._require_fields_of_status()
        self._require_numbers()

    def _require_fields_of_status(self) -> None:
        needed: tuple[str, ...]
        forbidden: tuple[str, ...]
        match self.status:
            case "card":
                needed, forbidden = (*_NAMED_BY_MODEL, *_SCORED), ("error_code",)
            case "insufficient-data":
                needed, forbidden = _NAMED_BY_MODEL, ("error_code", "logit", "probability", "contributions")
            case "not-triggered":
                needed, forbidden = _NAMED_BY_MODEL, ("error_code", *_SCORED, "contributions", "evidence")
            case "error":
                needed, forbidden = ("error_code",), _OF_PATIENT
        absent = [name for name in needed if getattr(self, name) is None]
        if absent:
            raise ValueError(f"A call with status {self.status!r} needs {', '.join(absent)}.")
        present = [name for name in forbidden if getattr(self, name) is not None]
        if present:
            raise ValueError(f"A call with status {self.status!r} must not carry {', '.join(present)}.")

    def _require_numbers(self) -> None:
        # SQLite stores NaN as NULL: what cannot be told from missing is refused here.
        for name in ("logit", "probability", "base_value"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise ValueError(f"{name} of a call is finite; NaN or infinity came. Journal it as an error.")
        if self.probability is not None and not 0.0 <= self.probability <= 1.0:
            raise ValueError("probability of a call lies in [0, 1]; a value outside came. Pass it after the sigmoid.")
        for name in ("feature_vector", "contributions"):
            blob = getattr(self, name)
            if blob is not None and len(blob) % _FLOAT32.itemsize:
                raise ValueError(f"{name} of a call is float32; {len(blob)} bytes came. Make it with float32_bytes.")


@dataclass(frozen=True, slots=True, kw_only=True)
class CardEntry:
    """One card of a recorded call: shown, or suppressed for a reason (shadow mode, lock-out)."""

    card_uuid: str
    call_id: UUID
    indicator: Indicator
    suppressed: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackEntry:
    """What a clinician did with a card (CDS Hooks, Feedback). A card that we do not know is stored too.

    Raises:
        ValueError: an instant is not aware UTC.
    """

    card_uuid: str
    service_id: str
    outcome: Outcome
    outcome_timestamp: datetime
    received_at: datetime
    override_reason_code: str | None = None
    override_reason_system: str | None = None
    override_reason_display: str | None = None
    user_comment: str | None = None
    accepted_suggestion_ids: tuple[str, ...] = ()
    client: str | None = None
    tenant: str | None = None

    def __post_init__(self) -> None:
        _require_utc(self, "outcome_timestamp", "received_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalEntry:
    """Requests that were refused before any service saw them: how many of one kind, and when.

    Not one entry for each: anyone can send what is refused, and a flood of it must not fill the disk.

    Args:
        first_at: when the first of them was refused, aware UTC; ``last_at`` likewise.
        at: what was asked for.
        error_code: FHIR issue code of the answers.
        count: how many, 1 or more.
        service_id: of a service of this server, if they named one.
        client: name of a registration, if they were of a client that proved itself.

    Raises:
        ValueError: an instant is not aware UTC, or there were none.
    """

    first_at: datetime
    last_at: datetime
    at: RefusedAt
    http_status: int
    error_code: str
    count: int
    service_id: str | None = None
    client: str | None = None

    def __post_init__(self) -> None:
        _require_utc(self, "first_at", "last_at")
        if self.count < 1:
            raise ValueError(f"count of a RefusalEntry is 1 or more; {self.count} came. Record nothing instead.")


Entry = CallEntry | CardEntry | FeedbackEntry | RefusalEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackRecord:
    """Feedback as the journal holds it, tied to the call, model and version of its card if that is known."""

    entry: FeedbackEntry
    known_card: bool
    call_id: UUID | None
    model_version: str | None
    bundle_fingerprint: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceCounts:
    """Counts of one service. A call counts once under its status; feedback counts cards, not messages."""

    service_id: str
    calls: int = 0
    errors: int = 0
    insufficient_data: int = 0
    not_triggered: int = 0
    cards_shown: int = 0
    cards_suppressed: int = 0
    accepted: int = 0
    overridden: int = 0
    feedback_unknown_card: int = 0


def _require_utc(entry: object, *names: str) -> None:
    for name in names:
        instant: datetime | None = getattr(entry, name)
        if instant is not None and instant.utcoffset() != timedelta(0):
            raise ValueError(
                f"{name} of a {type(entry).__name__} is an aware UTC instant; "
                f"one with offset {instant.utcoffset()} came. Convert it with astimezone(UTC)."
            )


def _require_sha256(entry: object, *names: str) -> None:
    for name in names:
        digest: str | None = getattr(entry, name)
        if digest is not None and not _SHA256.fullmatch(digest):
            raise ValueError(
                f"{name} of a {type(entry).__name__} is 64 lower-case hexadecimal digits; "
                f"a text of {len(digest)} characters came. A plain id never enters the journal."
            )
