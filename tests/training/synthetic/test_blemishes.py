"""Each blemish costs its own value, for its own reason."""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from features.reading.decode import decode_resource
from features.reading.interpreter import load_interpreter
from features.reading.reader import Reader
from features.refusals import Reason
from training.synthetic import blemishes

REASONS = {
    "_entered_in_error": Reason.STATUS,
    "_preliminary": Reason.STATUS,
    "_without_unit": Reason.UNIT_MISSING,
    "_unknown_unit": Reason.UNIT_UNKNOWN,
    "_wrong_unit": Reason.UNIT_INCOMPATIBLE,
    "_keying_slip": Reason.VALUE_IMPLAUSIBLE,
    "_text": Reason.VALUE_NOT_NUMERIC,
    "_absent": Reason.DATA_ABSENT,
    "_date_only": Reason.TIME_IMPRECISE,
}


def potassium() -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": "k",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "2823-3"}]},
        "subject": {"reference": "Patient/1"},
        "effectiveDateTime": "2025-06-01T08:00:00Z",
        "valueQuantity": {"value": 4.1, "unit": "mmol/l", "system": "http://unitsofmeasure.org", "code": "mmol/L"},
    }


def blank() -> dict[str, Any]:
    return {"status": "final", "effectiveDateTime": "2025-06-01T08:00:00Z"}


def read(*resources: dict[str, Any]) -> Reader:
    reader = Reader(load_interpreter())
    for resource in resources:
        decoded = decode_resource(msgspec.json.encode(resource), reader.refusals)
        assert decoded is not None
        reader.read([decoded])
    return reader


def test_without_a_blemish_the_value_is_read() -> None:
    assert len(read(potassium()).record().events) == 1


@pytest.mark.parametrize("spoil", [spoil for _, spoil in blemishes.BLEMISHES], ids=lambda spoil: spoil.__name__)
def test_a_blemish_is_refused_for_its_reason(spoil: Callable[[dict[str, Any]], None]) -> None:
    resource = potassium()
    spoil(resource)
    record = read(resource).record()
    assert len(record.events) == 0
    assert record.refusals.by_reason() == {REASONS[spoil.__name__].value: 1}


def test_blemishes_come_at_their_rates() -> None:
    many = 200_000
    found = list(blemishes.blemish((blank() for _ in range(many)), np.random.default_rng(1)))
    rates = {spoil.__name__: rate for rate, spoil in blemishes.BLEMISHES}
    in_error = sum(one["status"] == "entered-in-error" for one in found)
    assert in_error / many == pytest.approx(rates["_entered_in_error"], rel=0.2)
    assert (len(found) - many) / many == pytest.approx(blemishes.DUPLICATE_RATE, rel=0.4)
