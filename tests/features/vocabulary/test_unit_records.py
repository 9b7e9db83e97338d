"""Units of real records: every one is known, or its absence is the only thing that is wrong with it.

Skipped where the data are not laid out beside the repository.
"""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from features.refusals import Reason
from features.vocabulary.units import Converter, load_converter

RECORDS = Path(__file__).parents[4] / "shared" / "data" / "fhir"
Recorded = tuple[str, str | None, str | None, Reason]
"""A concept, the unit and the UCUM code under which it was recorded, and why that is refused."""


def refused_units(folder: Path) -> set[Recorded]:
    """What is refused of the quantities of a source, for all concepts that their codes name."""
    converter, refused = load_converter(), set[Recorded]()
    for path in sorted(folder.glob("*Observation*.gz")):
        with gzip.open(path, "rb") as lines:
            for resource in map(msgspec.json.decode, lines):
                for measured in (resource, *resource.get("component", ())):
                    if "valueQuantity" in measured:
                        refused.update(refusals_of(measured, converter))
    return refused


def refusals_of(measured: dict[str, Any], converter: Converter) -> Iterator[Recorded]:
    quantity = measured["valueQuantity"]
    for coding in measured["code"].get("coding", ()):
        for concept in converter.vocabulary.lookup(coding.get("system", ""), coding.get("code", "")):
            unit, system, code = quantity.get("unit"), quantity.get("system"), quantity.get("code")
            found = converter.conversions(concept, coding["code"]).resolve(
                unit=unit, unit_system=system, unit_code=code
            )
            if isinstance(found, Reason):
                yield concept.id, unit, code, found


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param(
            "mimic_demo",
            {
                ("body_weight", None, None, Reason.UNIT_MISSING),
                ("etco2", None, None, Reason.UNIT_MISSING),
                ("fio2", None, None, Reason.UNIT_MISSING),
                ("temperature", None, None, Reason.UNIT_MISSING),
            },
            id="MIMIC-IV demo",
        ),
        pytest.param(
            "synthea",
            {
                ("diastolic_pressure", None, None, Reason.UNIT_MISSING),
                ("systolic_pressure", None, None, Reason.UNIT_MISSING),
            },
            id="Synthea",
        ),
        pytest.param("mii_kds", set(), id="German core data set"),
    ],
)
def test_every_unit_of_real_records_is_known_and_only_a_missing_one_is_refused(
    source: str, expected: set[Recorded]
) -> None:
    if not (RECORDS / source).is_dir():
        pytest.skip(f"{source} is not there")
    assert refused_units(RECORDS / source) == expected
