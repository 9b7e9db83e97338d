"""Settling: corrected results replace earlier ones, what comes twice counts once, the order of arrival is nothing."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.reading.reader import Reader
from features.reading.settle import settle
from features.refusals import Reason
from features.vocabulary.code import SNOMED_CT
from tests.features.reading.clinic import ROLE_CODE, Found, bundle, find, found_in, interpreter
from tests.features.reading.resources import NOON, coded, component, observation, quantity, resource

Json = dict[str, Any]
EVENING, NEXT_DAY = "2026-11-24T18:00:00Z", "2026-11-25T12:00:00Z"
DIABETES = coded("44054006", system=SNOMED_CT)
VANCOMYCIN = {"medicationCodeableConcept": coded("J01XA01", system="http://www.whocc.no/atc")}
IBUPROFEN = {"medicationCodeableConcept": coded("M01AE01", system="http://www.whocc.no/atc")}


def result(value: float = 1.5, *, name: str | None = "1", of: str | None = None, **fields: Any) -> Json:
    """A creatinine at noon; `of` is the laboratory's own number."""
    identifier = None if of is None else [{"system": "https://lab.example", "value": of}]
    usual = {"id": name, "identifier": identifier, "valueQuantity": quantity(value, "mg/dL")}
    return observation(**(usual | fields))


def updated(time: str, version: str | None = None) -> Json:
    return {"lastUpdated": time} | ({} if version is None else {"versionId": version})


REPLACED = (Reason.REPLACED, None, "Observation")
DUPLICATE = (Reason.DUPLICATE, None, "Observation")
SAME_RESULT_REPLACED = (Reason.REPLACED, "creatinine", None)
SAME_RESULT_TWICE = (Reason.DUPLICATE, "creatinine", None)

LAST_ONE_HOLDS = [
    pytest.param([result(1.5, meta=updated(NOON)), result(2.5, meta=updated(EVENING))], [2.5], REPLACED, id="the same id, updated later"),  # noqa: E501
    pytest.param([result(1.5, meta=updated(NOON, "1")), result(2.5, meta=updated(NOON, "2"))], [2.5], REPLACED, id="the same id, a later version"),  # noqa: E501
    pytest.param([result(1.5, meta=updated(NOON, "9")), result(2.5, meta=updated(NOON, "10"))], [2.5], REPLACED, id="the tenth version after the ninth"),  # noqa: E501
    pytest.param([result(1.5, meta=updated(NOON, "7")), result(2.5, meta=updated(EVENING, "1"))], [2.5], REPLACED, id="when it was updated before the number of its version"),  # noqa: E501
    pytest.param([result(1.5), result(2.5, status="corrected")], [2.5], REPLACED, id="final, then corrected"),
    pytest.param([result(1.5), result(2.5, status="amended")], [2.5], REPLACED, id="final, then amended"),
    pytest.param([result(1.5, status="preliminary"), result(2.5)], [2.5], REPLACED, id="preliminary, then final"),
    pytest.param([result(1.5, issued=NOON), result(2.5, issued=EVENING)], [2.5], REPLACED, id="issued again"),
    pytest.param([result(1.5), result(1.5, effectiveDateTime=EVENING, status="amended")], [1.5], REPLACED, id="amended with another time"),  # noqa: E501
    pytest.param([result(1.5), result(1.5, status="entered-in-error")], [], REPLACED, id="taken back as entered in error"),  # noqa: E501
    pytest.param([result(1.5), result(1.5, status="cancelled")], [], REPLACED, id="cancelled"),
    pytest.param([result(1.5), result(1.5, status="entered-in-error", valueQuantity=None)], [], REPLACED, id="taken back without its value"),  # noqa: E501
    pytest.param([result(1.5), result(1.5)], [1.5], DUPLICATE, id="the same once more"),
    pytest.param([result(1.5, name="1", of="L7"), result(2.5, name="2", of="L7", status="corrected")], [2.5], SAME_RESULT_REPLACED, id="another id under the laboratory's number, corrected"),  # noqa: E501
    pytest.param([result(1.5, name="1", of="L7"), result(2.5, name="2", of="L7", status="corrected", effectiveDateTime=EVENING)], [2.5], SAME_RESULT_REPLACED, id="the laboratory's number, corrected with another time"),  # noqa: E501
    pytest.param([result(1.5, name="1", of="L7"), result(1.5, name="2", of="L7", status="entered-in-error")], [], SAME_RESULT_REPLACED, id="the laboratory's number, taken back"),  # noqa: E501
    pytest.param([result(1.5, name="1", of="L7"), result(1.5, name="2", of="L7")], [1.5], SAME_RESULT_TWICE, id="the laboratory's number twice at one time"),  # noqa: E501
    pytest.param([result(1.5, name=None, of="L7"), result(1.5, name=None, of="L7")], [1.5], SAME_RESULT_TWICE, id="the laboratory's number twice, without ids"),  # noqa: E501
]  # fmt: skip


@pytest.mark.parametrize("backwards", [False, True], ids=["in order", "backwards"])
@pytest.mark.parametrize(("versions", "values", "why"), LAST_ONE_HOLDS)
def test_of_several_versions_the_last_one_holds(
    versions: list[Json], values: list[float], why: tuple[Reason, str | None, str | None], backwards: bool  # noqa: FBT001
) -> None:  # fmt: skip
    found = find(*(reversed(versions) if backwards else versions))
    assert [event.value for event in found.events] == values
    assert found.refusals[why] == 1


BOTH_COUNT = [
    pytest.param([result(1.5, name="1"), result(2.5, name="2")], id="other ids"),
    pytest.param([result(1.5, name=None), result(2.5, name=None)], id="no ids"),
    pytest.param([result(1.5, name="1", of="L7"), result(2.5, name="2", of="L8")], id="other numbers of the laboratory"),  # noqa: E501
    pytest.param([result(1.5, name="1", of="S1"), result(2.5, name="2", of="S1", effectiveDateTime=EVENING)], id="a number that a series shares"),  # noqa: E501
    pytest.param([result(1.5, name="1", of="P1"), observation("1988-5", id="2", identifier=[{"system": "https://lab.example", "value": "P1"}], valueQuantity=quantity(12, "mg/L"))], id="a number that a panel shares"),  # noqa: E501
    pytest.param([result(1.5, name="1"), resource("Condition", id="1", code=DIABETES, recordedDate=NOON)], id="the same id of another type"),  # noqa: E501
]  # fmt: skip


@pytest.mark.parametrize("resources", BOTH_COUNT)
def test_what_is_not_the_same_result_counts_beside_it(resources: list[Json]) -> None:
    found = find(*resources)
    assert len(found.events) == 2
    assert found.refusals == {}


def test_a_number_without_its_system_says_nothing() -> None:
    numbered = [observation(id=name, identifier=[{"value": "L7"}]) for name in ("1", "2")]
    assert len(find(*numbered).events) == 2


def test_a_panel_under_one_number_keeps_its_components() -> None:
    panel = observation(
        "85354-9",
        id="1",
        valueQuantity=None,
        identifier=[{"system": "https://lab.example", "value": "P1"}],
        component=[component("2160-0", 1.5, "mg/dL"), component("1988-5", 12, "mg/L")],
    )
    assert len(find(panel).events) == 2


def test_a_panel_that_is_taken_back_takes_its_components_with_it() -> None:
    parts = [component("2160-0", 1.5, "mg/dL"), component("1988-5", 12, "mg/L")]
    panel = observation("85354-9", id="1", valueQuantity=None, component=parts)
    assert find(panel, panel | {"status": "entered-in-error"}).events == []


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        pytest.param(resource("Condition", id="1", code=DIABETES, recordedDate=NOON), {"verificationStatus": coded("refuted")}, [], id="a diagnosis refuted"),  # noqa: E501
        pytest.param(resource("MedicationRequest", id="1", status="active", authoredOn=NOON, **VANCOMYCIN), {"status": "entered-in-error"}, [], id="an order taken back"),  # noqa: E501
        pytest.param(resource("MedicationRequest", id="1", status="active", authoredOn=NOON, **VANCOMYCIN), {"status": "stopped", "dispenseRequest": {"validityPeriod": {"end": EVENING}}}, [("vancomycin", "2026-11-24T18:00")], id="an order that ended"),  # noqa: E501
        pytest.param(resource("Procedure", id="1", status="in-progress", code=coded("40617009", system=SNOMED_CT), performedPeriod={"start": NOON}), {"status": "completed", "performedPeriod": {"start": NOON, "end": EVENING}}, [("ventilation", "2026-11-24T18:00")], id="a procedure that ended"),  # noqa: E501
    ],
)  # fmt: skip
def test_the_last_version_of_anything_holds(first: Json, last: Json, expected: list[tuple[str, str]]) -> None:
    later = first | last | {"meta": updated(EVENING)}
    for versions in ((first | {"meta": updated(NOON)}, later), (later, first | {"meta": updated(NOON)})):
        assert [(event.concept, event.until) for event in find(*versions).events] == expected


def test_a_stay_that_ended_replaces_the_one_that_went_on() -> None:
    stay = resource("Encounter", id="1", status="in-progress", period={"start": NOON}, meta=updated(NOON))
    ended = stay | {"status": "finished", "period": {"start": NOON, "end": NEXT_DAY}, "meta": updated(NEXT_DAY)}
    for versions in ((stay, ended), (ended, stay)):
        (found,) = find(*versions).stays
        assert found.end is not None


# The order of arrival, and in how many parts

REPORT = resource(
    "DiagnosticReport", id="r", status="final", effectiveDateTime=NOON, issued=EVENING,
    result=[{"reference": "Observation/timeless"}],
)  # fmt: skip
ICU = {"resourceType": "Location", "id": "icu", "type": [coded("ICU", system=ROLE_CODE)]}
MEDICATION = {"resourceType": "Medication", "id": "m", "code": VANCOMYCIN["medicationCodeableConcept"]}
LIQUOR = {"resourceType": "Specimen", "id": "s", "type": coded("258450006", system=SNOMED_CT)}
BLOOD = {"resourceType": "Specimen", "id": "b", "type": coded("119297000", system=SNOMED_CT)}


def csf(name: str, specimen: str) -> Json:
    return observation(
        "2342-4", id=name, valueQuantity=quantity(3.4, "mmol/L"), specimen={"reference": f"Specimen/{specimen}"}
    )


RECORD: tuple[Json, ...] = (
    result(1.1, name="a", meta=updated(NOON, "1")),
    result(1.2, name="a", meta=updated(EVENING, "2"), status="corrected"),
    result(1.3, name="b", of="L7"),
    result(1.4, name="c", of="L7", status="corrected", effectiveDateTime=EVENING),
    result(1.5, name="d", of="S1"),
    result(1.6, name="e", of="S1", effectiveDateTime=NEXT_DAY),
    result(1.7, name="f", effectiveDateTime=NEXT_DAY),
    result(1.7, name="f", effectiveDateTime=NEXT_DAY, status="entered-in-error"),
    result(1.8, name="timeless", effectiveDateTime=None),
    result(1.9, name="never", effectiveDateTime=None),
    REPORT,
    csf("of liquor", "s"),
    csf("of blood", "b"),
    csf("of nothing", "x"),
    LIQUOR,
    BLOOD,
    resource("MedicationRequest", id="m1", status="active", authoredOn=NOON, medicationReference={"reference": "Medication/m"}),  # noqa: E501
    resource("MedicationRequest", id="m2", status="active", authoredOn=NOON, medicationReference={"reference": "Medication/x"}),  # noqa: E501
    MEDICATION,
    resource("Encounter", id="s1", status="in-progress", period={"start": NOON}, location=[{"location": {"reference": "Location/icu"}, "period": {"start": EVENING}}]),  # noqa: E501
    ICU,
    resource("Condition", id="c1", code=DIABETES, onsetDateTime="2019", recordedDate=NOON),
    result(9.9, name="z") | {"subject": {"reference": "Patient/bert"}},
    {"resourceType": "Patient", "id": "anna", "gender": "female", "birthDate": "1950-03-17"},
)  # fmt: skip


def expected() -> Found:
    return find(*RECORD)


def test_the_record_of_the_properties_below_has_every_case() -> None:
    found = expected()
    assert [event.value for event in found.events if event.concept == "creatinine"] == [1.2, 1.5, 1.8, 1.4, 1.6]
    assert {reason for reason, _, _ in found.refusals} == {
        Reason.REPLACED,
        Reason.STATUS,
        Reason.TIME_MISSING,
        Reason.METHOD,
        Reason.REFERENCE_UNRESOLVED,
        Reason.OTHER_PATIENT,
    }
    assert {event.concept for event in found.events} >= {"vancomycin", "intensive_care", "csf_glucose", "diabetes"}


@settings(max_examples=100, deadline=None)
@given(order=st.permutations(RECORD))
def test_the_order_of_arrival_changes_nothing(order: list[Json]) -> None:
    assert find(*order) == expected()


@settings(max_examples=60, deadline=None)
@given(order=st.permutations(RECORD), cuts=st.lists(st.integers(0, len(RECORD)), max_size=5))
def test_reading_in_parts_changes_nothing(order: list[Json], cuts: list[int]) -> None:
    """However the resources are shared out over pages and files, they are settled together."""
    reader = Reader(interpreter(), patient="anna")
    edges = [0, *sorted(cuts), len(order)]
    for begin, end in pairwise(edges):
        reader.read_searchset(bundle(*order[begin:end]))
    assert found_in(reader.record()) == expected()


def test_what_comes_twice_changes_no_event() -> None:
    found = find(*RECORD, *reversed(RECORD))
    assert (found.events, found.stays) == (expected().events, expected().stays)
    assert found.refusals[DUPLICATE] >= 1


def test_statements_are_settled_where_they_were_not_read() -> None:
    reader = Reader(interpreter(), patient="anna")
    reader.read_searchset(bundle(*RECORD))
    assert found_in(settle(reader.take())) == expected()
