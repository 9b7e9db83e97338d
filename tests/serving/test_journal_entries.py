"""An entry that contradicts itself, or would carry what the journal must not hold, cannot be built."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from serving.journal_entries import FeedbackEntry, float32_array, float32_bytes
from tests.serving.journal_examples import NOW, call_without_data, failed_call, feedback_on, scored_call

BERLIN = timezone(timedelta(hours=1))


def _feedback(**changes: Any) -> FeedbackEntry:
    return feedback_on("card", **changes)


def test_float32_values_come_back_bit_for_bit_missing_ones_too() -> None:
    values = np.array([0.1, np.nan, -0.0, np.inf, 1e-45], dtype=np.float32)
    assert float32_array(float32_bytes(values)).tobytes() == values.tobytes()


def test_float32_bytes_are_little_endian_on_every_machine() -> None:
    assert float32_bytes([1.0]) == b"\x00\x00\x80\x3f"


@pytest.mark.parametrize(
    ("build", "changes", "message"),
    [
        pytest.param(scored_call, {"received_at": datetime(2026, 1, 1)}, "received_at", id="naive"),  # noqa: DTZ001
        pytest.param(scored_call, {"index_time": NOW.astimezone(BERLIN)}, "offset 1:00:00", id="local time"),
        pytest.param(_feedback, {"received_at": NOW.replace(tzinfo=None)}, "received_at", id="naive feedback"),
        pytest.param(scored_call, {"patient_pseudonym": "patient-1"}, "9 characters came", id="raw patient id"),
        pytest.param(scored_call, {"bundle_fingerprint": "sha256:ab"}, "bundle_fingerprint", id="no digest"),
        pytest.param(scored_call, {"probability": None}, "needs probability", id="card without probability"),
        pytest.param(scored_call, {"probability": 1.5}, r"\[0, 1\]", id="probability above 1"),
        pytest.param(scored_call, {"logit": float("nan")}, "logit of a call is finite", id="NaN logit"),
        pytest.param(scored_call, {"feature_vector": b"abc"}, "3 bytes came", id="no float32"),
        pytest.param(scored_call, {"error_code": "x"}, "must not carry error_code", id="card with error"),
        pytest.param(call_without_data, {"probability": 0.1}, "must not carry probability", id="risk without data"),
        pytest.param(scored_call, {"status": "not-triggered"}, "must not carry logit", id="unasked, computed"),
        pytest.param(failed_call, {"error_code": None}, "needs error_code", id="error without its code"),
        pytest.param(failed_call, {"evidence": {"age": 60}}, "must not carry evidence", id="error with patient data"),
        pytest.param(failed_call, {"patient_pseudonym": "0" * 64}, "must not carry patient", id="error with patient"),
    ],
)
def test_an_entry_that_contradicts_itself_is_refused_without_quoting_it(
    build: Callable[..., Any], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as refusal:
        build(**changes)
    assert "patient-1" not in str(refusal.value)


def test_utc_under_another_name_is_utc() -> None:
    assert scored_call(received_at=NOW.astimezone(timezone(timedelta(0)))).received_at == NOW.astimezone(UTC)
