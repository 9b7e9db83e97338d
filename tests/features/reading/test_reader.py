"""The reader: whose resources become events, and what patients, stays, diagnoses and drugs become."""

import json
from typing import Any

import msgspec
import pytest

from features.reading import fhir
from features.reading.interpreter import load_interpreter
from features.reading.reader import Reader, patient_id
from features.refusals import Reason
from features.vocabulary.code import SNOMED_CT
from features.vocabulary.concept import load_vocabulary
from features.vocabulary.units import Converter, load_units
from tests.features.reading.resources import (
    CREATININE,
    NOON,
    PATIENT,
    Seen,
    coded,
    minute,
    observation,
    read,
    resource,
    without_none,
)

AT_NOON = "2026-11-24T12:00"
CREATININE_AT_NOON = Seen("creatinine", 1.5, AT_NOON, AT_NOON)
DIABETES = coded("44054006", system=SNOMED_CT)


# Whose it is


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("Patient/anna", "anna"),
        ("https://ehr.example/fhir/Patient/anna", "anna"),
        ("Patient/anna/_history/3", "anna"),
        ("Patient/anna|3", "anna"),
        ("Patient/anna#name", "anna"),
        ("https://ehr.example/fhir/Patient/anna/_history/3", "anna"),
        ("Patient/", None),
        ("anna", None),
        ("Group/anna", None),
        ("MyPatient/anna", None),
        ("Patient?identifier=https://ehr.example/Patient/anna", None),
        ("urn:uuid:7c3f8f5e-7a0c-4a55-9f5e-0d7f6f0b4f11", None),
        ("#anna", None),
        ("", None),
    ],
)
def test_a_reference_names_a_patient(reference: str, expected: str | None) -> None:
    assert patient_id(reference) == expected


@pytest.mark.parametrize(
    ("subject", "refusal"),
    [
        pytest.param({"reference": "Patient/bert"}, (Reason.OTHER_PATIENT, None, None), id="another patient"),
        pytest.param({"reference": "Patient/annabel"}, (Reason.OTHER_PATIENT, None, None), id="a longer id"),
        pytest.param(None, (Reason.SUBJECT_MISSING, None, None), id="none"),
        pytest.param({"display": "Anna"}, (Reason.SUBJECT_MISSING, None, None), id="a name alone"),
        pytest.param({"identifier": {"value": "1"}}, (Reason.SUBJECT_MISSING, None, None), id="an identifier alone"),
        pytest.param({"reference": "Group/anna"}, (Reason.SUBJECT_MISSING, None, "reference to no Patient"), id="a group"),  # noqa: E501
        pytest.param({"reference": "#anna"}, (Reason.SUBJECT_MISSING, None, "reference to no Patient"), id="contained"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["Observation", "Encounter", "Condition", "MedicationRequest"])
def test_what_is_not_the_patients_own_is_refused(
    kind: str, subject: dict[str, Any] | None, refusal: tuple[Reason, str | None, str | None]
) -> None:
    found = read(without_none(resource(kind) | {"subject": subject}), observation())
    assert found == ([CREATININE_AT_NOON], [refusal], ())


def test_the_record_of_another_patient_is_refused() -> None:
    found = read({"resourceType": "Patient", "id": "bert", "gender": "male", "birthDate": "1950-01-01"})
    assert found == ([], [(Reason.OTHER_PATIENT, None, None)], ())


def test_without_a_patient_named_everybodys_resources_are_read() -> None:
    reader = Reader(load_interpreter())
    for name in ("bert", "anna", "bert"):
        raw = json.dumps(observation() | {"subject": {"reference": f"Patient/{name}"}})
        reader.read_searchset(raw.encode())
    record = reader.record()
    assert record.events.patients == ("anna", "bert")
    assert record.events.patient.tolist() == [0, 1, 1]
    assert record.resources == 3


def test_a_patient_of_whom_nothing_was_read_is_in_the_record_all_the_same() -> None:
    record = Reader(load_interpreter(), patient=PATIENT).record()
    assert record.events.patients == (PATIENT,)
    assert len(record.events) == 0


def test_a_resource_that_comes_twice_counts_once() -> None:
    same = observation(id="1")
    found = read(same, same, observation(id="2"), resource("Condition", id="1", code=DIABETES, recordedDate=NOON))
    assert [event.concept for event in found.events] == ["creatinine", "creatinine", "diabetes"]
    assert found.refusals == [(Reason.DUPLICATE, None, "Observation")]


def test_resources_without_an_id_are_not_taken_for_each_other() -> None:
    assert len(read(observation(), observation()).events) == 2


def test_a_servers_remark_is_counted_and_no_resource() -> None:
    remark = {"resourceType": "OperationOutcome", "issue": [{"severity": "warning"}]}
    assert read(remark, observation()) == (
        [CREATININE_AT_NOON],
        [(Reason.RESOURCE_NOT_READ, None, "OperationOutcome")],
        (),
    )


def test_resources_can_be_handed_over_decoded() -> None:
    reader = Reader(load_interpreter(), patient=PATIENT)
    reader.read([fhir.Observation(status="final", subject=msgspec.Raw(b'{"reference": "Patient/anna"}'))])
    assert reader.record().refusals.total(Reason.CODE_NOT_MAPPED) == 1


# Patients


@pytest.mark.parametrize(
    ("birth_date", "expected"),
    [
        pytest.param("1950-03-17", "1950-03-17T00:00", id="a day"),
        pytest.param("1952-02-29", "1952-02-29T00:00", id="a leap day"),
        pytest.param("1950-03", "1950-03-16T12:00", id="a month, at its middle"),
        pytest.param("1950", "1950-07-02T12:00", id="a year, at its middle"),
        pytest.param("1923-01-01", "1923-01-01T00:00", id="long before 1970"),
    ],
)
def test_age_counts_from_birth(birth_date: str, expected: str) -> None:
    patient = {"resourceType": "Patient", "id": PATIENT, "gender": "female", "birthDate": birth_date}
    assert read(patient) == ([Seen("age", 0.0, expected, expected), Seen("sex", 0.0, expected, expected)], [], ())


@pytest.mark.parametrize(
    ("birth_date", "reason"),
    [(None, Reason.VALUE_MISSING), ("17.03.1950", Reason.TIME_INVALID), ("1950-02-30", Reason.TIME_INVALID)],
)
def test_without_a_birth_date_the_age_is_missing_and_the_sex_is_not(birth_date: str | None, reason: Reason) -> None:
    patient = without_none({"resourceType": "Patient", "id": PATIENT, "gender": "male", "birthDate": birth_date})
    assert read(patient) == ([Seen("sex", 1.0, "1800-01-01T00:00", "1800-01-01T00:00")], [(reason, "age", None)], ())


@pytest.mark.parametrize("birth_date", ["0001-01-01", "1799", "9999-12-31"])
def test_a_birth_date_that_stands_for_none_makes_nobody_two_thousand_years_old(birth_date: str) -> None:
    patient = {"resourceType": "Patient", "id": PATIENT, "gender": "male", "birthDate": birth_date}
    sex = Seen("sex", 1.0, "1800-01-01T00:00", "1800-01-01T00:00")
    assert read(patient) == ([sex], [(Reason.TIME_INVALID, "age", None)], ())


@pytest.mark.parametrize("gender", ["other", "unknown", "diverse", None])
def test_a_gender_that_the_models_do_not_know_is_missing(gender: str | None) -> None:
    patient = without_none({"resourceType": "Patient", "id": PATIENT, "gender": gender, "birthDate": "1950-03-17"})
    found = read(patient)
    assert [event.concept for event in found.events] == ["age"]
    assert found.refusals == [(Reason.VALUE_MISSING, "sex", None)]


def test_age_and_sex_are_read_only_where_the_vocabulary_has_them() -> None:
    converter = Converter(load_vocabulary().subset(["creatinine"]), load_units())
    patient = {"resourceType": "Patient", "id": PATIENT, "gender": "unknown"}
    assert read(patient, converter=converter) == ([], [], ())


def test_a_patient_without_an_id_is_refused() -> None:
    found = read({"resourceType": "Patient", "gender": "male"})
    assert found == ([], [(Reason.SUBJECT_MISSING, None, "Patient without id")], ())


# Stays


def stay(**fields: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {"status": "finished", "class": {"code": "IMP"}, "period": {"start": NOON}}
    return resource("Encounter", **(whole | fields))


@pytest.mark.parametrize(
    ("period", "start", "end"),
    [
        pytest.param({"start": NOON, "end": "2026-11-30T09:00:00+01:00"}, AT_NOON, "2026-11-30T08:00", id="whole"),
        pytest.param({"start": NOON}, AT_NOON, None, id="still here"),
        pytest.param({"start": "2026-11-24", "end": "2026-11-30"}, "2026-11-24T00:00", "2026-11-30T23:59", id="days"),
        pytest.param({"start": NOON, "end": NOON}, AT_NOON, AT_NOON, id="a moment"),
    ],
)
def test_an_encounter_is_a_stay(period: dict[str, str], start: str, end: str | None) -> None:
    (found,) = read(stay(period=period)).stays
    assert (found.patient, found.encounter_class) == (PATIENT, "IMP")
    assert minute(found.start) == start
    assert (None if found.end is None else minute(found.end)) == end


def test_a_stay_of_no_class_is_a_stay() -> None:
    (found,) = read(stay(**{"class": None})).stays
    assert found.encounter_class is None


@pytest.mark.parametrize("status", ["arrived", "triaged", "in-progress", "onleave", "finished"])
def test_a_patient_who_came_has_a_stay(status: str) -> None:
    assert len(read(stay(status=status)).stays) == 1


@pytest.mark.parametrize("status", ["planned", "cancelled", "entered-in-error", "unknown", None])
def test_a_stay_that_never_was_is_none(status: str | None) -> None:
    assert read(stay(status=status)) == ([], [(Reason.STATUS, None, "Encounter")], ())


@pytest.mark.parametrize(
    ("period", "refusal"),
    [
        (None, (Reason.TIME_MISSING, None, "Encounter")),
        ({"end": NOON}, (Reason.TIME_MISSING, None, "Encounter")),
        ({"start": "soon"}, (Reason.TIME_INVALID, None, "Encounter")),
        ({"start": NOON, "end": "later"}, (Reason.TIME_INVALID, None, "Encounter")),
        ({"start": NOON, "end": "2026-11-23"}, (Reason.TIME_INVALID, None, "Encounter that ends before it starts")),
    ],
    ids=["no period", "no start", "a start that is none", "an end that is none", "an end before the start"],
)
def test_a_stay_needs_its_start(period: dict[str, str] | None, refusal: tuple[Reason, str | None, str | None]) -> None:
    assert read(stay(period=period)) == ([], [refusal], ())


# Diagnoses


def diabetes(**fields: Any) -> dict[str, Any]:
    return resource("Condition", **({"code": DIABETES, "recordedDate": NOON} | fields))


MAY = "2026-05-02T10:00:00Z"


@pytest.mark.parametrize(
    ("fields", "time", "known"),
    [
        pytest.param({}, AT_NOON, AT_NOON, id="only recorded"),
        pytest.param({"onsetDateTime": MAY}, "2026-05-02T10:00", AT_NOON, id="began in May, recorded in November"),
        pytest.param({"onsetDateTime": MAY, "recordedDate": None}, "2026-05-02T10:00", "2026-05-02T10:00", id="only onset"),  # noqa: E501
        pytest.param({"onsetPeriod": {"start": MAY}}, "2026-05-02T10:00", AT_NOON, id="onset as a period"),
        pytest.param({"onsetDateTime": "2019"}, "2019-12-31T23:59", AT_NOON, id="a year: by its end"),
        pytest.param({"onsetDateTime": "2026"}, AT_NOON, AT_NOON, id="this year, recorded within it: by then"),
        pytest.param({"onsetDateTime": "2026-11-24"}, AT_NOON, AT_NOON, id="today, recorded at noon: by noon"),
        pytest.param({"onsetDateTime": "2026-11-24", "recordedDate": None}, "2026-11-24T23:59", "2026-11-24T23:59", id="today: by its end"),  # noqa: E501
        pytest.param({"recordedDate": "2026-11-24"}, "2026-11-24T23:59", "2026-11-24T23:59", id="recorded today: by its end"),  # noqa: E501
        pytest.param({"onsetDateTime": "2027-01-01", "recordedDate": NOON}, "2027-01-01T23:59", "2027-01-01T23:59", id="recorded before it began"),  # noqa: E501
    ],
)  # fmt: skip
def test_a_diagnosis_is_an_event_never_before_it_was_true(fields: dict[str, Any], time: str, known: str) -> None:
    assert read(diabetes(**fields)) == ([Seen("diabetes", 1.0, time, known)], [], ())


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        ("confirmed", True),
        ("provisional", True),
        ("differential", True),
        ("unconfirmed", True),
        ("refuted", False),
        ("entered-in-error", False),
    ],
)
def test_a_diagnosis_counts_unless_it_was_never_true(status: str, counts: bool) -> None:  # noqa: FBT001
    found = read(
        diabetes(verificationStatus=coded(status, system="http://terminology.hl7.org/CodeSystem/condition-ver-status"))
    )
    assert len(found.events) == counts
    assert found.refusals == ([] if counts else [(Reason.STATUS, "diabetes", status)])


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        pytest.param({"code": coded("22298006", system=SNOMED_CT)}, (Reason.CODE_NOT_MAPPED, None, None), id="a code of no concept"),  # noqa: E501
        pytest.param({"code": coded(CREATININE)}, (Reason.CODE_NOT_MAPPED, None, None), id="a code of a measurement"),
        pytest.param({"recordedDate": None}, (Reason.TIME_MISSING, "diabetes", None), id="no time"),
        pytest.param({"recordedDate": "2026-13"}, (Reason.TIME_INVALID, "diabetes", None), id="a time that is none"),
        pytest.param({"onsetDateTime": "long ago"}, (Reason.TIME_INVALID, "diabetes", None), id="an onset that is none"),  # noqa: E501
    ],
)  # fmt: skip
def test_a_diagnosis_that_cannot_be_used_is_refused(
    fields: dict[str, Any], refusal: tuple[Reason, str | None, str | None]
) -> None:
    assert read(diabetes(**fields)) == ([], [refusal], ())


@pytest.mark.parametrize("code", ['"2160-0"', "null", "[]", '{"coding": {}}'])
def test_a_code_that_is_none_is_malformed_wherever_it_stands(code: str) -> None:
    """What is left undecoded until it is looked up is refused then."""
    reader = Reader(load_interpreter(), patient=PATIENT)
    for name in ("Observation", "Condition", "Procedure"):
        raw = f'{{"resourceType": "{name}", "subject": {{"reference": "Patient/{PATIENT}"}}, "code": {code}}}'
        reader.read_searchset(raw.encode())
    refusals = reader.record().refusals
    assert {refusal.detail for refusal, _ in refusals if refusal.reason is Reason.MALFORMED} == {
        "Observation.code",
        "Condition.code",
        "Procedure.code",
    }


# Many at once


@pytest.mark.parametrize(
    ("subjects", "expected"),
    [
        pytest.param(["Patient/anna"] * 3, 3, id="all of one patient"),
        pytest.param(["Patient/anna", "Patient/bert", "Patient/anna"], 2, id="another one between"),
        pytest.param(["Patient/anna", None, "Patient/anna"], 2, id="nobody between"),
        pytest.param(
            ["Patient/anna", "https://ehr.example/fhir/Patient/anna", "Patient/anna"], 3, id="one, twice named"
        ),
        pytest.param(["Patient/bert"] * 3, 0, id="all of another"),
        pytest.param([None] * 3, 0, id="all of nobody"),
    ],
)
def test_of_results_side_by_side_each_is_of_its_own_subject(subjects: list[str | None], expected: int) -> None:
    results = [
        observation(
            effectiveDateTime=f"2026-11-24T0{hour}:00:00Z", subject=None if name is None else {"reference": name}
        )
        for hour, name in enumerate(subjects)
    ]
    found = read(*results)
    assert (len(found.events), len(found.refusals)) == (expected, len(subjects) - expected)


def test_several_answers_are_read_as_one_after_the_other() -> None:
    answers = [
        json.dumps(one).encode()
        for one in (
            {
                "resourceType": "Bundle",
                "entry": [{"resource": observation(id="1")}, {"resource": {"resourceType": "X"}}],
            },
            {"resourceType": "Patient", "id": PATIENT, "gender": "female", "birthDate": "1950-03-17"},
            observation(id="1", status="entered-in-error"),
            observation(id="2", effectiveDateTime="2026-11-24T13:00:00Z"),
        )
    ]
    together, singly = Reader(load_interpreter()), Reader(load_interpreter())
    together.read_searchsets(answers)
    for answer in answers:
        singly.read_searchset(answer)
    one, other = together.record(), singly.record()
    assert (one.events.value.tolist(), one.refusals) == (other.events.value.tolist(), other.refusals)
    assert one.resources == other.resources


def test_a_reader_that_was_emptied_begins_anew() -> None:
    """And keeps its hands off what was taken."""
    reader = Reader(load_interpreter())
    reader.read_searchset(json.dumps(observation(status="cancelled")).encode())
    first = reader.take()
    assert (len(first.refusals), len(reader.refusals)) == (1, 0)
    reader.read_searchset(json.dumps(observation()).encode())
    second = reader.record()
    assert (len(second.events), len(second.refusals), second.resources) == (1, 0, 1)
    assert (len(first.refusals), first.resources) == (1, 1)
    assert reader.record().resources == 0
