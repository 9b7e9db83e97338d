"""Encounters: stays, their class and level in the house, and the places where they were spent."""

from typing import Any

import pytest

from features.reading.versions import FhirVersion
from features.refusals import Reason
from features.times import to_datetime
from features.vocabulary.code import ACT_CODE, CONTACT_KIND, CONTACT_LEVEL
from tests.features.reading.clinic import ROLE_CODE, find
from tests.features.reading.resources import NOON, coded, resource, without_none

Json = dict[str, Any]
EVENING, NEXT_DAY = "2026-11-24T18:00:00Z", "2026-11-25T09:00:00Z"
IMP = {"system": ACT_CODE, "code": "IMP"}


def stay(**fields: Any) -> Json:
    """A stay from noon to the next day; a field given as None is left out."""
    usual = {"status": "finished", "class": IMP, "period": {"start": NOON, "end": NEXT_DAY}}
    return resource("Encounter", **(usual | fields))


@pytest.mark.parametrize(
    ("fields", "version", "expected"),
    [
        pytest.param({}, "R4", "IMP", id="R4: one Coding"),
        pytest.param({"class": {"code": "AMB"}}, "R4B", "AMB", id="R4B: a Coding without its system"),
        pytest.param({"class": [coded("EMER", system=ACT_CODE)], "period": None, "actualPeriod": {"start": NOON}}, "R5", "EMER", id="R5: a list of CodeableConcepts"),  # noqa: E501
        pytest.param({"class": [{"text": "ambulant"}, coded("AMB", system=ACT_CODE)], "period": None, "actualPeriod": {"start": NOON}}, "R5", "AMB", id="R5: the first that has a code"),  # noqa: E501
        pytest.param({"class": None}, "R4", None, id="none"),
    ],
)  # fmt: skip
def test_a_stay_has_its_class_in_each_version(fields: Json, version: FhirVersion, expected: str | None) -> None:
    (found,) = find(stay(**fields), version=version).stays
    assert found.encounter_class == expected


@pytest.mark.parametrize(
    ("version", "fields", "told"),
    [
        pytest.param("R5", {}, "R4", id="R5 with a period"),
        pytest.param("R4", {"period": None, "actualPeriod": {"start": NOON}}, "R5", id="R4 with an actualPeriod"),
        pytest.param("R4B", {"period": None, "actualPeriod": {"start": NOON}}, "R5", id="R4B with an actualPeriod"),
    ],
)
def test_a_stay_that_contradicts_the_version_is_counted(version: FhirVersion, fields: Json, told: str) -> None:
    found = find(stay(**fields), version=version)
    assert found.stays == ()
    ((reason, _, detail),) = found.refusals
    assert (reason, detail) == (
        Reason.FHIR_VERSION,
        f"Encounter is written in {told}, the source says {version}",
    )


def kds(level: str, system: str = CONTACT_LEVEL) -> list[Json]:
    return [coded(level, system=system)]


@pytest.mark.parametrize(
    ("fields", "level"),
    [
        pytest.param({"type": kds("einrichtungskontakt")}, "facility", id="Einrichtungskontakt"),
        pytest.param({"type": kds("abteilungskontakt"), "partOf": {"reference": "Encounter/1"}}, "department", id="Abteilungskontakt"),  # noqa: E501
        pytest.param({"type": kds("versorgungsstellenkontakt"), "partOf": {"reference": "Encounter/2"}}, "ward", id="Versorgungsstellenkontakt"),  # noqa: E501
        pytest.param({"type": [coded("intensivstationaer", system=CONTACT_KIND), *kds("versorgungsstellenkontakt")]}, "ward", id="beside its Kontaktart"),  # noqa: E501
        pytest.param({"type": kds("versorgungsstellenkontakt", "http://fhir.de/CodeSystem/kontaktebene-de")}, "ward", id="under the system's older name"),  # noqa: E501
        pytest.param({"type": kds("versorgungsstellenkontakt", "https://ehr.example/levels")}, "facility", id="the same word of another system"),  # noqa: E501
        pytest.param({"type": kds("stationskontakt")}, "facility", id="no level of the core data set"),
        pytest.param({}, "facility", id="elsewhere: the stay in the house"),
        pytest.param({"partOf": {"reference": "Encounter/1"}}, "department", id="elsewhere: part of another stay"),
    ],
)  # fmt: skip
def test_the_level_of_a_stay(fields: Json, level: str) -> None:
    (found,) = find(stay(**fields)).stays
    assert found.level == level


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, ["inpatient"], id="by its class"),
        pytest.param({"class": {"code": "IMP"}}, [], id="a class without a system names nothing"),
        pytest.param({"class": None, "type": [coded("intensivstationaer", system=CONTACT_KIND)]}, ["intensive_care"], id="by its type: intensivstationär"),  # noqa: E501
        pytest.param({"class": None, "serviceType": coded("ICU", system=ROLE_CODE)}, ["intensive_care"], id="by the service that has the patient"),  # noqa: E501
        pytest.param({"type": kds("versorgungsstellenkontakt")}, ["inpatient", "on_a_ward"], id="on a ward: both that ask for no level and for this one"),  # noqa: E501
        pytest.param({"type": kds("abteilungskontakt")}, ["inpatient"], id="in a department: not what asks for a ward"),
        pytest.param({"class": {"system": ACT_CODE, "code": "AMB"}}, [], id="a class that no concept has"),
    ],
)  # fmt: skip
def test_a_stay_is_an_event_of_what_its_codes_name(fields: Json, expected: list[str]) -> None:
    assert [event.concept for event in find(stay(**fields)).events] == expected


def test_the_service_of_a_later_version_is_a_list() -> None:
    fields = {"class": None, "period": None, "actualPeriod": {"start": NOON}}
    service = [{"concept": coded("ICU", system=ROLE_CODE)}]
    (event,) = find(stay(**fields, serviceType=service), version="R5").events
    assert event.concept == "intensive_care"


@pytest.mark.parametrize(
    ("fields", "until"),
    [
        pytest.param({}, "2026-11-25T09:00", id="that ended"),
        pytest.param({"period": {"start": NOON, "end": "2026-11-25"}}, "2026-11-25T23:59", id="that ended on a day"),
        pytest.param({"period": {"start": NOON}, "status": "in-progress"}, None, id="that goes on"),
        pytest.param({"period": {"start": NOON}}, "2026-11-24T12:00", id="that is over, nobody says since when"),
    ],
)
def test_how_long_a_stay_holds(fields: Json, until: str | None) -> None:
    (event,) = find(stay(**fields)).events
    assert (event.time, event.known, event.until) == ("2026-11-24T12:00", "2026-11-24T12:00", until)


def test_a_stay_that_began_on_a_day_holds_from_its_morning() -> None:
    """What happened on that day lies in the stay."""
    (found,) = find(stay(period={"start": "2026-11-24"})).stays
    assert to_datetime(found.start).isoformat() == "2026-11-24T00:00:00+00:00"


# Where it was spent

ICU = {"resourceType": "Location", "id": "icu", "type": [coded("ICU", system=ROLE_CODE)]}
CORRIDOR = {"resourceType": "Location", "id": "corridor"}


def place(name: str = "Location/icu", start: str | None = EVENING, end: str | None = None, **fields: Any) -> Json:
    period = without_none({"start": start, "end": end}) or None
    return without_none({"location": {"reference": name}, "period": period} | fields)


def spent(*places: Json, **fields: Any) -> Json:
    return stay(**{"class": {"code": "IMP"}, "location": list(places)} | fields)


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        pytest.param([spent(place(end=NEXT_DAY)), ICU], [("2026-11-24T18:00", "2026-11-25T09:00")], id="from its start to its end"),  # noqa: E501
        pytest.param([ICU, spent(place(end=NEXT_DAY))], [("2026-11-24T18:00", "2026-11-25T09:00")], id="the place came first"),  # noqa: E501
        pytest.param([spent(place()), ICU], [("2026-11-24T18:00", "2026-11-25T09:00")], id="without an end: to that of the stay"),  # noqa: E501
        pytest.param([spent(place(), status="in-progress", period={"start": NOON}), ICU], [("2026-11-24T18:00", None)], id="without an end in a stay that goes on"),  # noqa: E501
        pytest.param([spent(place(start=NOON, end=EVENING), place(start=NEXT_DAY, end=NEXT_DAY)), ICU], [("2026-11-24T12:00", "2026-11-24T18:00"), ("2026-11-25T09:00", "2026-11-25T09:00")], id="twice"),  # noqa: E501
        pytest.param([spent(place("https://ehr.example/fhir/Location/icu/_history/2", end=NEXT_DAY)), ICU], [("2026-11-24T18:00", "2026-11-25T09:00")], id="an absolute reference with a version"),  # noqa: E501
        pytest.param([spent(place("Location/corridor")), CORRIDOR], [], id="a place of no kind"),
        pytest.param([spent(place(start=None)), ICU], [], id="a place without a time: none of its history"),
    ],
)  # fmt: skip
def test_where_a_stay_was_spent(resources: list[Json], expected: list[tuple[str, str | None]]) -> None:
    found = find(*resources)
    assert [(event.concept, event.time, event.until) for event in found.events] == [
        ("intensive_care", time, until) for time, until in expected
    ]
    assert found.refusals == {}


@pytest.mark.parametrize(
    ("told", "refusal"),
    [
        pytest.param(spent(place("Location/gone")), (Reason.REFERENCE_UNRESOLVED, None, "Location"), id="a place that nobody knows"),  # noqa: E501
        pytest.param(spent(place(end=NOON)), (Reason.TIME_INVALID, None, "Encounter that ends before it starts"), id="left before it was reached"),  # noqa: E501
        pytest.param(spent(place(start="at night")), (Reason.TIME_INVALID, None, "Encounter"), id="a time that is none"),  # noqa: E501
    ],
)  # fmt: skip
def test_a_place_that_cannot_be_used_is_counted_and_the_stay_is_not_lost(
    told: Json, refusal: tuple[Reason, str | None, str | None]
) -> None:
    found = find(told, ICU)
    assert found.events == []
    assert len(found.stays) == 1
    assert found.refusals == {refusal: 1}
