"""Times: which of its times each resource counts at, what a date without a time of day means, and what holds how long.

That of Observations stands in test_observations; here, what a report or several of them tell of results.
"""

from typing import Any

import pytest

from features.reading.interpreter import Refused
from features.reading.statements import When
from features.reading.timing import at_latest, end_of
from features.refusals import Reason
from features.times import LATEST, microseconds, parse, to_datetime
from features.vocabulary.code import SNOMED_CT
from tests.features.reading.clinic import find
from tests.features.reading.resources import NOON, coded, observation, resource
from tests.fhir_builders import NOW

MARCH, MAY = "2026-03-02T10:00:00Z", "2026-05-02T10:00:00Z"
EVENING = "2026-11-24T18:00:00Z"


@pytest.mark.parametrize(
    ("start", "recorded", "time", "known"),
    [
        pytest.param(MAY, None, MAY, MAY, id="an instant"),
        pytest.param("2026-05-02", None, "2026-05-02T23:59:59Z", "2026-05-02T23:59:59Z", id="a day: by its end"),
        pytest.param("2026-05", None, "2026-05-31T23:59:59Z", "2026-05-31T23:59:59Z", id="a month: by its end"),
        pytest.param("2019", None, "2019-12-31T23:59:59Z", "2019-12-31T23:59:59Z", id="a year: by its end"),
        pytest.param(MARCH, MAY, MARCH, MAY, id="noted later: known later"),
        pytest.param("2026", MAY, MAY, MAY, id="this year, noted within it: begun by then"),
        pytest.param("2019", MAY, "2019-12-31T23:59:59Z", MAY, id="an earlier year, noted later"),
        pytest.param(MAY, MARCH, MAY, MAY, id="noted before it began: known when it did"),
        pytest.param(None, MAY, MAY, MAY, id="only noted"),
        pytest.param(None, "2026-05-02", "2026-05-02T23:59:59Z", "2026-05-02T23:59:59Z", id="only noted, on a day"),
    ],
)
def test_nothing_counts_before_it_was_true_or_known(start: str | None, recorded: str, time: str, known: str) -> None:
    when = at_latest(start, recorded)
    assert isinstance(when, When)
    assert [to_datetime(one).strftime("%Y-%m-%dT%H:%M:%SZ") for one in when] == [time, known]


@pytest.mark.parametrize(
    ("start", "recorded", "ended", "time", "known"),
    [
        pytest.param("2026-05-02", None, MAY, MAY, MAY, id="on a day, and over on it: begun by then"),
        pytest.param("2026", None, MARCH, MARCH, MARCH, id="this year, and over within it"),
        pytest.param("2026", MARCH, MAY, MARCH, MARCH, id="noted before it was over"),
        pytest.param("2026", MAY, MARCH, MARCH, MAY, id="over before it was noted"),
        pytest.param(None, MAY, MARCH, MARCH, MAY, id="only noted, when it was over"),
        pytest.param(None, MARCH, MAY, MARCH, MARCH, id="only noted, before it was over"),
        pytest.param(MAY, None, MARCH, MAY, MAY, id="over before it began: the end is refused elsewhere"),
        pytest.param(MARCH, None, "2027", MARCH, MARCH, id="a later end changes nothing"),
    ],
)
def test_what_is_over_had_begun_by_then(
    start: str | None, recorded: str | None, ended: str, time: str, known: str
) -> None:
    when = at_latest(start, recorded, ended=ended)
    assert when == When(parse(time).last, parse(known).last)


@pytest.mark.parametrize(
    ("start", "recorded", "reason"),
    [
        pytest.param(None, None, Reason.TIME_MISSING, id="no time at all"),
        pytest.param("last week", None, Reason.TIME_INVALID, id="a beginning that is none"),
        pytest.param(MAY, "later", Reason.TIME_INVALID, id="a note of no time"),
        pytest.param("02.05.2026", None, Reason.TIME_INVALID, id="a German date"),
        pytest.param("2026-05-02T10:00:00", None, Reason.TIME_INVALID, id="no offset"),
    ],
)
def test_without_a_time_there_is_no_event(start: str | None, recorded: str | None, reason: Reason) -> None:
    assert at_latest(start, recorded) == Refused(reason)


BEGUN = When(parse(MARCH).first, parse(MARCH).first)


@pytest.mark.parametrize(
    ("end", "open_end", "expected"),
    [
        pytest.param(MAY, False, parse(MAY).last, id="an end"),
        pytest.param("2026-05-02", False, parse("2026-05-02").last, id="an end that is a day: with that day"),
        pytest.param(MARCH, False, parse(MARCH).last, id="a moment"),
        pytest.param(None, True, LATEST, id="no end, and it goes on"),
        pytest.param(None, False, parse(MARCH).first, id="no end, and it is over: a point"),
        pytest.param("2026-02", False, Refused(Reason.TIME_INVALID, "ends before it begins"), id="before it began"),
        pytest.param("soon", False, Refused(Reason.TIME_INVALID), id="an end that is none"),
    ],
)
def test_how_long_something_holds(end: str | None, open_end: bool, expected: int | Refused) -> None:  # noqa: FBT001
    assert end_of(BEGUN, end, open_end=open_end) == expected


VANCOMYCIN = {"medicationCodeableConcept": coded("J01XA01", system="http://www.whocc.no/atc")}
DIABETES = {"code": coded("44054006", system=SNOMED_CT)}
VENTILATION = {"code": coded("40617009", system=SNOMED_CT)}


def use(kind: str, status: str = "completed", **fields: Any) -> dict[str, Any]:
    return resource(kind, status=status, **VANCOMYCIN, **fields)


PERIOD = {"start": MARCH, "end": MAY}


@pytest.mark.parametrize(
    ("told", "time", "known", "until"),
    [
        pytest.param(resource("Condition", **DIABETES, onsetPeriod=PERIOD, recordedDate=NOON), MARCH, NOON, None, id="diagnosis: onset period, at its start; open"),  # noqa: E501
        pytest.param(resource("Condition", **DIABETES, onsetDateTime=MARCH, abatementDateTime=MAY), MARCH, MARCH, MAY, id="diagnosis: until it abated"),  # noqa: E501
        pytest.param(resource("Condition", **DIABETES, onsetDateTime=MARCH, abatementPeriod=PERIOD), MARCH, MARCH, MAY, id="diagnosis: abated over a period, at its end"),  # noqa: E501
        pytest.param(resource("Condition", **DIABETES, onsetDateTime="2026-03", recordedDate=MAY, abatementDateTime=MARCH), MARCH, MAY, MARCH, id="diagnosis: a month, over within it"),  # noqa: E501
        pytest.param(resource("Condition", **DIABETES, onsetDateTime=MARCH, abatementString="in spring"), MARCH, MARCH, MARCH, id="diagnosis: abated, a text says when"),  # noqa: E501
        pytest.param(resource("Condition", **DIABETES, onsetDateTime=MARCH, abatementAge={"value": 60}), MARCH, MARCH, MARCH, id="diagnosis: abated at an age"),  # noqa: E501
        pytest.param(use("MedicationAdministration", effectivePeriod={"start": MARCH[:10], "end": MARCH}), MARCH, MARCH, MARCH, id="dose: on a day, ended at ten"),  # noqa: E501
        pytest.param(resource("Procedure", status="completed", **VENTILATION, performedDateTime=MARCH), MARCH, MARCH, MARCH, id="procedure: a moment"),  # noqa: E501
        pytest.param(resource("Procedure", status="completed", **VENTILATION, performedPeriod=PERIOD), MARCH, MARCH, MAY, id="procedure: while it lasted"),  # noqa: E501
        pytest.param(resource("Procedure", status="in-progress", **VENTILATION, performedPeriod={"start": MARCH}), MARCH, MARCH, None, id="procedure: going on"),  # noqa: E501
        pytest.param(use("MedicationRequest", "active", authoredOn=MARCH), MARCH, MARCH, None, id="order: as long as it is active"),  # noqa: E501
        pytest.param(use("MedicationRequest", authoredOn=MARCH), MARCH, MARCH, MARCH, id="order: completed, nobody says when"),  # noqa: E501
        pytest.param(use("MedicationRequest", "active", authoredOn=MARCH, dispenseRequest={"validityPeriod": PERIOD}), MARCH, MARCH, MAY, id="order: until its validity ends"),  # noqa: E501
        pytest.param(use("MedicationRequest", "active", authoredOn=MARCH, dosageInstruction=[{"timing": {"repeat": {"boundsPeriod": PERIOD}}}]), MARCH, MARCH, MAY, id="order: until its doses end"),  # noqa: E501
        pytest.param(use("MedicationRequest", "active", authoredOn=MARCH, dosageInstruction=[{"timing": {"repeat": {"boundsPeriod": PERIOD}}}, {}]), MARCH, MARCH, None, id="order: one of two doses goes on"),  # noqa: E501
        pytest.param(use("MedicationAdministration", effectiveDateTime=MARCH), MARCH, MARCH, MARCH, id="dose: a moment"),  # noqa: E501
        pytest.param(use("MedicationAdministration", effectivePeriod=PERIOD), MARCH, MARCH, MAY, id="dose: an infusion"),  # noqa: E501
        pytest.param(use("MedicationStatement", "active", effectivePeriod=PERIOD, dateAsserted=NOON), MARCH, NOON, MAY, id="statement: known when it was said"),  # noqa: E501
        pytest.param(use("MedicationStatement", "active", dateAsserted=MARCH), MARCH, MARCH, MARCH, id="statement: said at a time, of no period"),  # noqa: E501
        pytest.param(use("MedicationStatement", "active", effectivePeriod={"start": MARCH}), MARCH, MARCH, None, id="statement: taken to this day"),  # noqa: E501
        pytest.param(resource("ServiceRequest", status="active", intent="order", code=coded("CT", system="https://ehr.example/orders"), authoredOn=MARCH), MARCH, MARCH, None, id="examination ordered: as long as the order is active"),  # noqa: E501
    ],
)  # fmt: skip
def test_each_resource_counts_at_its_own_time(told: dict[str, Any], time: str, known: str, until: str | None) -> None:
    (event,) = find(told).events
    assert (event.time, event.known) == (time[:16], known[:16])
    assert event.until == (None if until is None else until[:16])


# Reports as carriers of time


def result(name: str = "1", **fields: Any) -> dict[str, Any]:
    return observation(id=name, **fields)


def report(*names: str, **fields: Any) -> dict[str, Any]:
    references = [{"reference": f"Observation/{name}"} for name in names]
    return resource("DiagnosticReport", status="final", result=references, **fields)


TIMELESS = result(effectiveDateTime=None)


@pytest.mark.parametrize(
    ("resources", "time", "known"),
    [
        pytest.param([TIMELESS, report("1", effectiveDateTime=NOON, issued=EVENING)], NOON, EVENING, id="drawn at noon, reported in the evening"),  # noqa: E501
        pytest.param([report("1", effectiveDateTime=NOON, issued=EVENING), TIMELESS], NOON, EVENING, id="the report came first"),  # noqa: E501
        pytest.param([TIMELESS, report("1", issued=EVENING)], EVENING, EVENING, id="only issued"),
        pytest.param([TIMELESS, report("1", effectiveDateTime=NOON)], NOON, NOON, id="only drawn"),
        pytest.param([TIMELESS, report("1", effectivePeriod={"start": MAY, "end": NOON})], NOON, NOON, id="drawn over a period, at its end"),  # noqa: E501
        pytest.param([TIMELESS, report("1", effectiveDateTime="2026-11-24", issued=EVENING)], EVENING, EVENING, id="a day is no time of a sample"),  # noqa: E501
        pytest.param([result(), report("1", effectiveDateTime=MAY, issued=EVENING)], NOON, EVENING, id="a result with its own time is known with the report"),  # noqa: E501
        pytest.param([result(issued="2026-11-24T12:00:30Z"), report("1", issued=EVENING)], NOON, NOON, id="a result that says itself when it was issued"),  # noqa: E501
        pytest.param([TIMELESS, report("1", effectiveDateTime=NOON, issued=EVENING), report("1", effectiveDateTime=NOON, issued=NOON)], NOON, NOON, id="of two reports the first made it known"),  # noqa: E501
        pytest.param([TIMELESS, report("1", issued=NOON), report("1", effectiveDateTime=MAY, issued=EVENING)], NOON, NOON, id="what a later report adds was not known then"),  # noqa: E501
    ],
)  # fmt: skip
def test_a_report_tells_when_its_results_were_drawn_and_known(
    resources: list[dict[str, Any]], time: str, known: str
) -> None:
    (event,) = find(*resources).events
    assert (event.time, event.known) == (time[:16], known[:16])


def test_the_report_of_another_patient_tells_nothing() -> None:
    other = report("1", effectiveDateTime=NOON) | {"subject": {"reference": "Patient/bert"}}
    found = find(TIMELESS, other)
    assert found.events == []
    assert found.refusals == {
        (Reason.OTHER_PATIENT, None, None): 1,
        (Reason.TIME_MISSING, "creatinine", None): 1,
    }


def test_results_that_a_report_contains_are_counted() -> None:
    """Legal where a result has no life of its own; they have no id by which a correction could replace them."""
    report_of_contained = resource(
        "DiagnosticReport", status="final", result=[{"reference": "#1"}], contained=[TIMELESS]
    )
    assert find(report_of_contained).refusals == {(Reason.REFERENCE_UNRESOLVED, None, "Observation"): 1}


def test_the_report_of_another_result_tells_nothing() -> None:
    assert find(TIMELESS, report("2", effectiveDateTime=NOON)).refusals == {
        (Reason.TIME_MISSING, "creatinine", None): 1
    }


def test_a_draft_counts_at_the_call_whatever_was_written_down() -> None:
    draft = use("MedicationRequest", "draft", authoredOn="2019-01-01")
    (event,) = find(drafts=(draft,)).events
    now = to_datetime(microseconds(NOW)).strftime("%Y-%m-%dT%H:%M")
    assert (event.concept, event.time, event.known, event.until) == ("drafted_vancomycin", now, now, None)
