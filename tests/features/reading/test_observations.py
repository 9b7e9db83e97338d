"""Observations: which become an event, of what value and time, and why the others do not."""

from typing import Any

import pytest

from features.refusals import Reason
from features.vocabulary.code import LOINC
from features.vocabulary.concept import load_vocabulary
from features.vocabulary.units import UCUM
from tests.features.reading.resources import (
    BLOOD_PRESSURE,
    CREATININE,
    DIASTOLIC,
    FIO2,
    HEART_RATE,
    NOON,
    SYSTOLIC,
    TEMPERATURE,
    Seen,
    coded,
    component,
    observation,
    quantity,
    read,
)

AT_NOON = "2026-11-24T12:00"
LATE = "2026-11-24T14:30:00Z"


def creatinine(value: float = 1.5, time: str = AT_NOON, known: str | None = None) -> Seen:
    return Seen("creatinine", value, time, known or time)


def test_a_final_result_is_an_event() -> None:
    assert read(observation()) == ([creatinine()], [], ())


@pytest.mark.parametrize("status", ["final", "amended", "corrected"])
def test_what_became_final_counts(status: str) -> None:
    assert read(observation(status=status)).events == [creatinine()]


@pytest.mark.parametrize(
    ("status", "named"),
    [
        ("preliminary", "preliminary"),
        ("registered", "registered"),
        ("cancelled", "cancelled"),
        ("entered-in-error", "entered-in-error"),
        ("unknown", "unknown"),
        ("FINAL", "no FHIR status"),
        ("Frau Sonnenschein", "no FHIR status"),
        (None, "no FHIR status"),
    ],
)
def test_what_is_not_final_is_refused_by_its_status(status: str | None, named: str) -> None:
    found = read(observation(status=status))
    assert found.events == []
    assert found.refusals == [(Reason.STATUS, "creatinine", named)]


@pytest.mark.parametrize(
    ("code", "value", "expected"),
    [
        pytest.param(CREATININE, quantity(132.6, "umol/L"), ("creatinine", 1.5), id="creatinine in µmol/L"),
        pytest.param(CREATININE, {"value": 132.6, "unit": "µmol/l"}, ("creatinine", 1.5), id="a unit as text alone"),
        pytest.param(
            CREATININE, {"value": 1.5, "system": UCUM, "code": "mg/dL"}, ("creatinine", 1.5), id="a unit as code alone"
        ),
        pytest.param(TEMPERATURE, quantity(37.0, "Cel"), ("temperature", 37.0), id="37 °C under 8310-5"),
        pytest.param(TEMPERATURE, quantity(98.6, "[degF]"), ("temperature", 37.0), id="98.6 °F under 8310-5"),
        pytest.param(TEMPERATURE, {"value": 98.6, "unit": "°F"}, ("temperature", 37.0), id="98.6 °F as text"),
        pytest.param(FIO2, quantity(21, "%"), ("fio2", 21.0), id="FiO2 of 21 percent"),
        pytest.param(FIO2, quantity(0.21, "1"), ("fio2", 21.0), id="FiO2 of 0.21"),
        pytest.param("6690-2", {"value": 8.1, "unit": "Gpt/l"}, ("wbc", 8.1), id="German white cells"),
        pytest.param("6690-2", quantity(8.1, "10*3/uL"), ("wbc", 8.1), id="American white cells"),
    ],
)
def test_a_value_enters_in_its_concepts_unit(code: str, value: dict[str, Any], expected: tuple[str, float]) -> None:
    (event,), refusals, _ = read(observation(code, valueQuantity=value))
    assert event.concept == expected[0]
    assert event.value == pytest.approx(expected[1], rel=1e-4)
    assert refusals == []


FAHRENHEIT_AS_CELSIUS = quantity(98.6, "Cel")


@pytest.mark.parametrize(
    ("code", "fields", "refusal"),
    [
        pytest.param(CREATININE, {"valueQuantity": {"value": 1.5}}, (Reason.UNIT_MISSING, "creatinine", None), id="no unit"),  # noqa: E501
        pytest.param(CREATININE, {"valueQuantity": {"value": 1.5, "unit": ""}}, (Reason.UNIT_MISSING, "creatinine", ""), id="an empty unit"),  # noqa: E501
        pytest.param(CREATININE, {"valueQuantity": quantity(1.5, "furlong")}, (Reason.UNIT_UNKNOWN, "creatinine", "furlong"), id="an unknown unit"),  # noqa: E501
        pytest.param(CREATININE, {"valueQuantity": quantity(1.5, "mm[Hg]")}, (Reason.UNIT_INCOMPATIBLE, "creatinine", "mm[Hg]"), id="a unit of something else"),  # noqa: E501
        pytest.param(CREATININE, {"valueQuantity": quantity(1.5, "mg/dL") | {"unit": "µmol/l"}}, (Reason.UNIT_CONTRADICTION, "creatinine", "mg/dL"), id="a code and a text that differ"),  # noqa: E501
        pytest.param(CREATININE, {"valueQuantity": quantity(0.5, "mg/dL", comparator="<")}, (Reason.VALUE_CENSORED, "creatinine", None), id="<0.5"),  # noqa: E501
        pytest.param(CREATININE, {"valueQuantity": quantity(9.0, "mg/dL", comparator=">=")}, (Reason.VALUE_CENSORED, "creatinine", None), id="≥9"),  # noqa: E501
        pytest.param(CREATININE, {"valueQuantity": quantity(900.0, "mg/dL")}, (Reason.VALUE_IMPLAUSIBLE, "creatinine", None), id="900 mg/dL"),  # noqa: E501
        pytest.param(CREATININE, {"valueQuantity": quantity(-1.0, "mg/dL")}, (Reason.VALUE_IMPLAUSIBLE, "creatinine", None), id="below 0"),  # noqa: E501
        pytest.param(TEMPERATURE, {"valueQuantity": FAHRENHEIT_AS_CELSIUS}, (Reason.VALUE_IMPLAUSIBLE, "temperature", None), id="98.6 °C is a fever in °F"),  # noqa: E501
        pytest.param(FIO2, {"valueQuantity": quantity(0.21, "%")}, (Reason.VALUE_IMPLAUSIBLE, "fio2", None), id="FiO2 of 0.21 percent"),  # noqa: E501
        pytest.param(FIO2, {"valueQuantity": quantity(21, "1")}, (Reason.VALUE_IMPLAUSIBLE, "fio2", None), id="FiO2 of 21 without a unit"),  # noqa: E501
        pytest.param(CREATININE, {"valueQuantity": None}, (Reason.VALUE_MISSING, "creatinine", None), id="no value"),
        pytest.param(CREATININE, {"valueQuantity": {"unit": "mg/dL"}}, (Reason.VALUE_MISSING, "creatinine", None), id="a unit and no value"),  # noqa: E501
        pytest.param(CREATININE, {"valueQuantity": None, "dataAbsentReason": coded("unknown")}, (Reason.DATA_ABSENT, "creatinine", None), id="absent, with a reason"),  # noqa: E501
        pytest.param(CREATININE, {"dataAbsentReason": coded("error")}, (Reason.DATA_ABSENT, "creatinine", None), id="absent, and a value all the same"),  # noqa: E501
        pytest.param(CREATININE, {"valueQuantity": None, "valueString": "1,5"}, (Reason.VALUE_NOT_NUMERIC, "creatinine", None), id="a text with a decimal comma"),  # noqa: E501
        pytest.param(CREATININE, {"valueQuantity": None, "valueCodeableConcept": coded("high")}, (Reason.VALUE_NOT_NUMERIC, "creatinine", None), id="a code"),  # noqa: E501
        pytest.param(HEART_RATE, {"valueQuantity": None, "valueInteger": 72}, (Reason.UNIT_MISSING, "heart_rate", None), id="an integer, which has no unit"),  # noqa: E501
        pytest.param("9999-0", {}, (Reason.CODE_NOT_MAPPED, None, None), id="a code of no concept"),
        pytest.param("2160", {}, (Reason.CODE_NOT_MAPPED, None, None), id="a code without its check digit"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_used_is_refused_with_its_reason(
    code: str, fields: dict[str, Any], refusal: tuple[Reason, str | None, str | None]
) -> None:
    assert read(observation(code, **fields)) == ([], [refusal], ())


def test_a_plausible_range_includes_its_bounds() -> None:
    plausible = load_vocabulary().concept("creatinine").plausible
    assert plausible is not None
    for bound in plausible:
        assert read(observation(valueQuantity=quantity(bound, "mg/dL"))).events == [creatinine(bound)]


def test_a_unit_is_named_in_a_refusal_but_cut_short_and_cleaned() -> None:
    story = "mg/dL\n" + "Frau Sonnenschein hat heute " * 4
    ((_, _, detail),) = read(observation(valueQuantity={"value": 1.5, "unit": story})).refusals
    assert detail == story.replace("\n", "")[:32]


@pytest.mark.parametrize(
    ("fields", "time", "known"),
    [
        pytest.param({}, AT_NOON, AT_NOON, id="effectiveDateTime"),
        pytest.param({"effectiveDateTime": "2026-11-24T13:00:00+01:00"}, AT_NOON, AT_NOON, id="with an offset"),
        pytest.param({"effectiveDateTime": None, "effectiveInstant": NOON}, AT_NOON, AT_NOON, id="effectiveInstant"),
        pytest.param(
            {"effectiveDateTime": None, "effectivePeriod": {"start": "2026-11-24T11:00:00Z", "end": NOON}},
            AT_NOON, AT_NOON, id="effectivePeriod, at its end",
        ),
        pytest.param(
            {"effectiveDateTime": None, "effectivePeriod": {"start": NOON}}, AT_NOON, AT_NOON,
            id="an open period, at its start",
        ),
        pytest.param({"effectiveDateTime": None, "issued": NOON}, AT_NOON, AT_NOON, id="only issued"),
        pytest.param({"issued": LATE}, AT_NOON, "2026-11-24T14:30", id="issued later: known later"),
        pytest.param({"issued": "2026-11-24T11:00:00Z"}, AT_NOON, AT_NOON, id="issued before it was drawn"),
        pytest.param({"issued": "2026-11-24"}, AT_NOON, "2026-11-24T23:59", id="issued on a day: known at its end"),
    ],
)  # fmt: skip
def test_when_it_was_drawn_and_when_it_was_known(fields: dict[str, Any], time: str, known: str) -> None:
    assert read(observation(**fields)) == ([creatinine(time=time, known=known)], [], ())


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({"effectiveDateTime": None}, Reason.TIME_MISSING, id="no time"),
        pytest.param({"effectiveDateTime": None, "effectivePeriod": {}}, Reason.TIME_MISSING, id="an empty period"),
        pytest.param({"effectiveDateTime": "2026-11-24"}, Reason.TIME_IMPRECISE, id="a day"),
        pytest.param(
            {"effectiveDateTime": "2026-11-24", "issued": LATE}, Reason.TIME_IMPRECISE, id="a day, and issued"
        ),
        pytest.param({"effectiveDateTime": "2026-11"}, Reason.TIME_IMPRECISE, id="a month"),
        pytest.param({"effectiveDateTime": "2026-11-24T12:00:00"}, Reason.TIME_INVALID, id="no offset"),
        pytest.param({"effectiveDateTime": "", "issued": LATE}, Reason.TIME_INVALID, id="an empty time, and issued"),
        pytest.param({"effectiveDateTime": "24.11.2026 12:00"}, Reason.TIME_INVALID, id="a German date"),
        pytest.param({"issued": "soon"}, Reason.TIME_INVALID, id="issued at no time"),
    ],
)
def test_a_time_that_is_none_or_too_coarse_is_refused(fields: dict[str, Any], reason: Reason) -> None:
    assert read(observation(**fields)) == ([], [(reason, "creatinine", None)], ())


PRESSURES = [
    Seen("diastolic_pressure", 80.0, AT_NOON, AT_NOON),
    Seen("systolic_pressure", 120.0, AT_NOON, AT_NOON),
]


def blood_pressure(*components: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return observation(BLOOD_PRESSURE, valueQuantity=None, component=list(components)) | fields


def test_blood_pressure_as_components_and_as_two_observations_are_the_same_events() -> None:
    panel = blood_pressure(component(SYSTOLIC, 120), component(DIASTOLIC, 80))
    two = [
        observation(SYSTOLIC, valueQuantity=quantity(120, "mm[Hg]")),
        observation(DIASTOLIC, valueQuantity=quantity(80, "mm[Hg]")),
    ]
    assert read(panel) == read(*two) == (PRESSURES, [], ())


def test_each_component_is_refused_for_itself() -> None:
    panel = blood_pressure(
        component(SYSTOLIC, 120),
        component(DIASTOLIC, dataAbsentReason=coded("not-performed")),
        component("9999-0", 1),
    )
    assert read(panel) == (PRESSURES[1:], [(Reason.DATA_ABSENT, "diastolic_pressure", None)], ())


def test_a_status_and_a_time_hold_for_all_components() -> None:
    both = [component(SYSTOLIC, 120), component(DIASTOLIC, 80)]
    cancelled = read(blood_pressure(*both, status="cancelled"))
    assert cancelled == (
        [],
        [(Reason.STATUS, concept, "cancelled") for concept in ("diastolic_pressure", "systolic_pressure")],
        (),
    )
    assert [refusal[0] for refusal in read(blood_pressure(*both, effectiveDateTime="2026")).refusals] == (
        [Reason.TIME_IMPRECISE] * 2
    )


def test_a_panel_without_a_value_of_its_own_is_no_missing_value() -> None:
    panel = observation(SYSTOLIC, valueQuantity=None, component=[component(DIASTOLIC, 80)])
    assert read(panel) == (PRESSURES[:1], [], ())


def test_an_observation_with_a_value_and_components_counts_with_both() -> None:
    both = observation(SYSTOLIC, valueQuantity=quantity(120, "mm[Hg]"), component=[component(DIASTOLIC, 80)])
    assert read(both) == (PRESSURES, [], ())


def test_an_observation_whose_components_say_nothing_known_is_refused_for_its_own_value() -> None:
    """Body position beside a heart rate that could not be taken: the heart rate is absent, not unmapped."""
    absent = observation(
        HEART_RATE,
        valueQuantity=None,
        dataAbsentReason=coded("error"),
        component=[{"code": coded("8361-8"), "valueCodeableConcept": coded("sitting")}],
    )
    assert read(absent).refusals == [(Reason.DATA_ABSENT, "heart_rate", None)]


def test_no_refusal_repeats_a_value_or_a_name() -> None:
    secrets = ("31.4159", "Sonnenschein", "1999-12-31")
    fields: list[dict[str, Any]] = [
        {"valueQuantity": quantity(31.4159, "furlong")},
        {"valueQuantity": quantity(31.4159, "mg/dL", comparator="<")},
        {"valueQuantity": quantity(3_141_592.0, "mg/dL")},
        {"valueQuantity": None, "valueString": "Sonnenschein"},
        {"effectiveDateTime": "1999-12-31 Sonnenschein"},
        {"status": "Sonnenschein"},
        {"subject": {"reference": "Group/Sonnenschein"}},
        {"subject": {"reference": "Patient/Sonnenschein"}},
        {"code": {"text": "Sonnenschein"}},
        {"component": "Sonnenschein"},
        {"valueQuantity": {"value": "31.4159"}},
    ]
    found = read(*(observation() | one for one in fields))
    assert found.events == []
    assert len(found.refusals) == len(fields)
    assert not any(secret in repr(found.refusals) for secret in secrets)
    assert LOINC not in repr(found.refusals)
