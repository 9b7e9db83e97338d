"""Answers: each form of value[x], and the number that it becomes or the reason why it becomes none."""

from typing import Any

import pytest

from features.refusals import Reason
from features.vocabulary.code import INTERPRETATION, SNOMED_CT
from features.vocabulary.units import UCUM
from tests.features.reading.clinic import find
from tests.features.reading.resources import CREATININE, coded, component, observation, quantity

Json = dict[str, Any]
NITRITE, TROPONIN, COMA, CSF, ARTERY = "5802-4", "67151-1", "9269-2", "2342-4", "76215-3"
LIQUOR, BLOOD, CATHETER = "258450006", "119297000", "77938009"


def measured(code: str, **value: Any) -> Json:
    return observation(code, **({"valueQuantity": None} | value))


def ratio(above: Json, below: Json) -> Json:
    return {"valueRatio": {"numerator": above, "denominator": below}}


def interpreted(code: str, system: str = INTERPRETATION) -> Json:
    return {"interpretation": [coded(code, system=system)]}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        pytest.param(measured(CREATININE, valueQuantity=quantity(1.5, "mg/dL")), 1.5, id="a quantity"),
        pytest.param(measured(CREATININE, **ratio(quantity(132.6, "umol"), quantity(1, "L"))), 1.5, id="a ratio: 132.6 µmol per 1 L"),  # noqa: E501
        pytest.param(measured(CREATININE, **ratio(quantity(265.2, "umol"), quantity(2, "L"))), 1.5, id="a ratio: 265.2 µmol per 2 L"),  # noqa: E501
        pytest.param(measured(CREATININE, **ratio(quantity(15, "mg/dL"), {"value": 10})), 1.5, id="a ratio per ten of nothing"),  # noqa: E501
        pytest.param(measured(TROPONIN, valueQuantity=quantity(14, "ng/L")), 14, id="a quantity of what may be censored"),  # noqa: E501
        pytest.param(measured(TROPONIN, valueQuantity=quantity(5, "ng/L", comparator="<")), 5, id="<5, where the limit stands for it"),  # noqa: E501
        pytest.param(measured(TROPONIN, valueQuantity=quantity(5, "ng/L", comparator="<=")), 5, id="≤5"),
        pytest.param(measured(TROPONIN, valueQuantity=quantity(9000, "ng/L", comparator=">")), 9000, id=">9000"),
        pytest.param(measured(TROPONIN, valueQuantity=quantity(9000, "ng/L", comparator=">=")), 9000, id="≥9000"),
        pytest.param(measured(TROPONIN, valueQuantity=quantity(0.014, "ug/L", comparator="<")), 14, id="a limit in another unit"),  # noqa: E501
        pytest.param(measured(COMA, valueInteger=15), 15, id="an integer: a score"),
        pytest.param(measured(COMA, valueQuantity={"value": 15}), 15, id="a score as a quantity without a unit"),
        pytest.param(measured(COMA, valueQuantity=quantity(15, "{score}")), 15, id="a score as a quantity"),
        pytest.param(measured(NITRITE, valueCodeableConcept=coded("10828004", system=SNOMED_CT)), 1, id="a coded answer"),  # noqa: E501
        pytest.param(measured(NITRITE, valueCodeableConcept={"coding": [{"system": "local", "code": "+"}, {"system": SNOMED_CT, "code": "260385009"}]}), 0, id="the coding that is listed"),  # noqa: E501
        pytest.param(measured(NITRITE, valueBoolean=False), 0, id="no, where it is listed"),
        pytest.param(measured(NITRITE, **interpreted("POS")), 1, id="an interpretation in place of a value"),
        pytest.param(measured(NITRITE, **interpreted("POS", "http://hl7.org/fhir/v2/0078")), 1, id="an interpretation under the system's older name"),  # noqa: E501
        pytest.param(measured(NITRITE, valueCodeableConcept=coded("260385009", system=SNOMED_CT), **interpreted("POS")), 0, id="the value before its interpretation"),  # noqa: E501
        pytest.param(observation("85354-9", valueQuantity=None, component=[component(COMA, valueInteger=9)]), 9, id="an integer in a component"),  # noqa: E501
    ],
)  # fmt: skip
def test_a_value_becomes_a_number(told: Json, expected: float) -> None:
    found = find(told)
    assert found.refusals == {}
    assert [event.value for event in found.events] == [pytest.approx(expected, rel=1e-4)]


@pytest.mark.parametrize(
    ("told", "refusal"),
    [
        pytest.param(measured(CREATININE, valueQuantity=quantity(0.5, "mg/dL", comparator="<")), (Reason.VALUE_CENSORED, "creatinine", None), id="<0.5, where no limit stands for it"),  # noqa: E501
        pytest.param(measured(TROPONIN, valueQuantity=quantity(5, "ng/L", comparator="ad")), (Reason.VALUE_CENSORED, "troponin_t", None), id="R5: sufficient to achieve this total"),  # noqa: E501
        pytest.param(measured(CREATININE, valueString="1,5"), (Reason.VALUE_NOT_NUMERIC, "creatinine", None), id="a text"),  # noqa: E501
        pytest.param(measured(CREATININE, valueRange={"low": quantity(1, "mg/dL")}), (Reason.VALUE_NOT_NUMERIC, "creatinine", None), id="a range"),  # noqa: E501
        pytest.param(measured(CREATININE, valueBoolean=True), (Reason.VALUE_NOT_NUMERIC, "creatinine", None), id="yes, of what has no answers"),  # noqa: E501
        pytest.param(measured(CREATININE, valueInteger=1), (Reason.UNIT_MISSING, "creatinine", None), id="an integer of what has a unit"),  # noqa: E501
        pytest.param(measured(CREATININE, **interpreted("H")), (Reason.VALUE_MISSING, "creatinine", None), id="too high, but not how high"),  # noqa: E501
        pytest.param(measured(CREATININE, **ratio({"value": 3}, quantity(2, "L"))), (Reason.UNIT_MISSING, "creatinine", "L"), id="a ratio of nothing per litre"),  # noqa: E501
        pytest.param(measured(CREATININE, **ratio(quantity(3, "mg"), {"value": 0})), (Reason.VALUE_MISSING, "creatinine", None), id="a ratio through nought"),  # noqa: E501
        pytest.param(measured(CREATININE, **ratio({"unit": "mg"}, {"value": 2})), (Reason.VALUE_MISSING, "creatinine", None), id="a ratio without its numerator"),  # noqa: E501
        pytest.param(measured(CREATININE, **ratio({"value": 1, "system": UCUM, "code": "mg"}, {"value": 1, "system": "local", "code": "dL"})), (Reason.UNIT_MISSING, "creatinine", None), id="a ratio of units of two systems"),  # noqa: E501
        pytest.param(measured(NITRITE, valueQuantity=quantity(1, "mg/dL")), (Reason.VALUE_NOT_CODED, "urine_nitrite", None), id="a number where answers are listed"),  # noqa: E501
        pytest.param(measured(NITRITE, valueBoolean=True), (Reason.ANSWER_UNKNOWN, "urine_nitrite", None), id="yes, which is not listed"),  # noqa: E501
        pytest.param(measured(NITRITE, valueCodeableConcept=coded("82334004", system=SNOMED_CT)), (Reason.ANSWER_UNKNOWN, "urine_nitrite", None), id="an answer that is not listed"),  # noqa: E501
        pytest.param(measured(NITRITE, valueCodeableConcept={"text": "positiv"}), (Reason.ANSWER_UNKNOWN, "urine_nitrite", None), id="an answer in words"),  # noqa: E501
        pytest.param(measured(NITRITE), (Reason.VALUE_MISSING, "urine_nitrite", None), id="no answer"),
        pytest.param(measured(COMA, valueInteger=10**400), (Reason.MALFORMED, None, "Observation.valueInteger"), id="no integer of FHIR's"),  # noqa: E501
        pytest.param(measured(COMA, valueInteger=16), (Reason.VALUE_IMPLAUSIBLE, "coma_score", None), id="a score beyond its scale"),  # noqa: E501
        pytest.param(measured(COMA, valueInteger=15, dataAbsentReason=coded("unknown")), (Reason.DATA_ABSENT, "coma_score", None), id="absent, and a value all the same"),  # noqa: E501
    ],
)  # fmt: skip
def test_a_value_that_is_no_number_is_refused(told: Json, refusal: tuple[Reason, str, str | None]) -> None:
    found = find(told)
    assert found.events == []
    assert found.refusals == {refusal: 1}


# What a code demands of how and of what it was measured


def specimen(code: str, name: str = "s", system: str = SNOMED_CT) -> Json:
    return {"resourceType": "Specimen", "id": name, "type": coded(code, system=system)}


def glucose(reference: str | None = "Specimen/s", **fields: Any) -> Json:
    taken_from = None if reference is None else {"reference": reference}
    return observation(CSF, valueQuantity=quantity(3.4, "mmol/L"), specimen=taken_from, **fields)


@pytest.mark.parametrize(
    "resources",
    [
        pytest.param([glucose(), specimen(LIQUOR)], id="that came after"),
        pytest.param([specimen(LIQUOR), glucose()], id="that came before"),
        pytest.param([glucose("https://ehr.example/fhir/Specimen/s/_history/1"), specimen(LIQUOR)], id="absolute"),
        pytest.param([glucose("#s", contained=[specimen(LIQUOR)])], id="contained"),
        pytest.param([glucose(), specimen(LIQUOR, system="urn:oid:2.16.840.1.113883.6.96")], id="under SNOMED's OID"),
    ],
)
def test_a_value_of_the_specimen_that_its_code_demands_counts(resources: list[Json]) -> None:
    found = find(*resources)
    assert [event.value for event in found.events] == [3.4]
    assert found.refusals == {}


@pytest.mark.parametrize(
    ("resources", "reason"),
    [
        pytest.param([glucose(), specimen(BLOOD)], Reason.METHOD, id="of blood"),
        pytest.param([glucose("#s", contained=[specimen(BLOOD)])], Reason.METHOD, id="of blood, contained"),
        pytest.param([glucose(), specimen(LIQUOR, system="local")], Reason.METHOD, id="a code of another system"),
        pytest.param([glucose()], Reason.REFERENCE_UNRESOLVED, id="a specimen that nobody knows"),
        pytest.param([glucose(None)], Reason.REFERENCE_UNRESOLVED, id="no specimen named"),
        pytest.param([glucose("#s"), specimen(LIQUOR)], Reason.REFERENCE_UNRESOLVED, id="contained in nothing"),
    ],
)
def test_a_value_of_another_specimen_is_refused(resources: list[Json], reason: Reason) -> None:
    found = find(*resources)
    assert found.events == []
    assert found.refusals == {(reason, "csf_glucose", "Specimen"): 1}


@pytest.mark.parametrize(
    ("method", "counts"),
    [
        pytest.param(coded(CATHETER, system=SNOMED_CT), True, id="by catheter"),
        pytest.param(coded("37931006", system=SNOMED_CT), False, id="by auscultation"),
        pytest.param(None, False, id="not told"),
    ],
)
def test_a_value_by_another_method_than_its_code_demands_is_refused(method: Json | None, counts: bool) -> None:  # noqa: FBT001
    found = find(observation(ARTERY, valueQuantity=quantity(93, "mm[Hg]"), method=method))
    assert [event.value for event in found.events] == ([93] if counts else [])
    assert found.refusals == ({} if counts else {(Reason.METHOD, "invasive_pressure", ARTERY): 1})
