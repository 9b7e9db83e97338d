"""The order of many events, found by one key, is the order of few, found column by column."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.events import FEW, Events
from features.times import EARLIEST, LATEST

MINUTE, YEAR = 60_000_000, 31_557_600_000_000
PATIENTS, CONCEPTS = 40_000, 200


@pytest.mark.parametrize(
    "span",
    [
        pytest.param(1, id="all at one time"),
        pytest.param(90 * MINUTE, id="of a morning, many at one time"),
        pytest.param(YEAR, id="of a year"),
        pytest.param(LATEST - EARLIEST, id="of all times: finer than the key can tell"),
    ],
)
@pytest.mark.parametrize("patients", [1, PATIENTS], ids=["one patient", "many patients"])
@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_many_events_stand_in_the_order_of_their_columns(span: int, patients: int, seed: int) -> None:
    """Whatever the key cannot tell apart: times a microsecond apart, or known, value and end alone."""
    rng = np.random.default_rng(seed)
    size = FEW + int(rng.integers(0, 300))

    def some(most: int) -> NDArray[np.int64]:
        """Numbers of which many are the same."""
        return rng.choice(rng.integers(0, most, 40), size) + rng.integers(0, 2, size)

    time = EARLIEST + some(span)
    events = Events.sort(
        patients=[str(number) for number in range(patients + 1)],
        concepts=[str(number) for number in range(CONCEPTS + 1)],
        patient=some(patients).astype(np.int32),
        concept=some(CONCEPTS).astype(np.int32),
        time=time,
        known=time + rng.integers(0, 3, size),
        value=rng.integers(-1, 2, size).astype(np.float64),
        until=time + rng.integers(0, 3, size),
    )
    columns = (events.concept, events.patient, events.time, events.known, events.value, events.until)
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    assert rows == sorted(rows)


@pytest.mark.parametrize("size", [pytest.param(FEW - 1, id="few"), pytest.param(FEW + 200, id="many")])
@pytest.mark.parametrize("patients", [1, 3], ids=["one patient", "three patients"])
@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_columns_that_are_one_array_stay_one_and_change_nothing(size: int, patients: int, seed: int) -> None:
    """Points that are known at their time are the same events, whether that is said by one array or by three."""
    rng = np.random.default_rng(seed)
    time = rng.integers(0, 20, size)
    columns: dict[str, Any] = {
        "patients": [str(number) for number in range(patients)],
        "concepts": ["heart_rate", "lactate"],
        "patient": rng.integers(0, patients, size).astype(np.int32),
        "concept": rng.integers(0, 2, size).astype(np.int32),
        "time": time,
        "value": rng.integers(-1, 3, size).astype(np.float64),
    }
    shared = Events.sort(**columns, known=time)
    apart = Events.sort(**columns, known=time.copy(), until=time.copy())
    assert shared.known is shared.time
    assert shared.until is shared.time
    assert not shared.has_late
    for name in ("patient", "concept", "time", "known", "value", "until"):
        np.testing.assert_array_equal(getattr(shared, name), getattr(apart, name))
