"""Decoding FHIR: the fields that are read, one fault at a time, and nothing raised but what concerns the whole."""

import json
from typing import Any

import msgspec
import pytest

from features.reading import fhir
from features.reading.decode import decode_part, decode_resource, decode_searchset, resource_type_of
from features.refusals import Reason, Refusal, Refusals

SECRET = "Sonnenschein"  # noqa: S105 - stands for whatever a patient's record holds


def observation(name: str = "1", **fields: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": name, "status": "final"} | fields


def fhir_bundle(*entries: object) -> bytes:
    return json.dumps({"resourceType": "Bundle", "type": "searchset", "entry": list(entries)}).encode()


def entry(resource: object) -> dict[str, object]:
    return {"fullUrl": "https://ehr.example/fhir/x", "resource": resource, "search": {"mode": "match"}}


def decode(raw: bytes) -> tuple[list[str | None], list[tuple[Refusal, int]]]:
    """The ids that were decoded, and the refusals."""
    refusals = Refusals()
    ids = [resource.id for resource in decode_searchset(raw, refusals)]
    return ids, list(refusals)


def plain(resource: fhir.Resource) -> bytes:
    """The resource as JSON: what was left undecoded is equal only byte by byte."""
    return msgspec.json.encode(resource)


def malformed(detail: str) -> tuple[Refusal, int]:
    return Refusal(Reason.MALFORMED, None, detail), 1


def test_an_observation_is_read_with_the_fields_that_are_used_and_the_rest_passes_by() -> None:
    raw = json.dumps(
        observation(
            meta={"versionId": "3"},
            text={"div": "<div>…</div>"},
            code={"coding": [{"system": "http://loinc.org", "code": "2160-0", "version": "2.78"}]},
            subject={"reference": "Patient/anna", "display": SECRET},
            effectiveDateTime="2026-11-24T12:00:00Z",
            valueQuantity={"value": 1, "unit": "mg/dL", "system": "http://unitsofmeasure.org", "code": "mg/dL"},
            note=[{"text": 7}],
        )
    ).encode()
    found = decode_resource(raw, Refusals())
    assert isinstance(found, fhir.Observation)
    code, subject = decode_part(found.code, fhir.CodeableConcept), decode_part(found.subject, fhir.Reference)
    assert code == fhir.CodeableConcept(coding=(fhir.Coding(system="http://loinc.org", code="2160-0"),))
    assert subject == fhir.Reference(reference="Patient/anna")
    assert found.valueQuantity == fhir.Quantity(
        value=1.0, unit="mg/dL", system="http://unitsofmeasure.org", code="mg/dL"
    )
    assert SECRET not in repr(found)


def test_the_entries_of_a_bundle_come_in_order() -> None:
    raw = fhir_bundle(*(entry(observation(name)) for name in "cab"))
    assert decode(raw) == (["c", "a", "b"], [])


@pytest.mark.parametrize(
    ("raw", "ids"),
    [
        pytest.param(b'{"resourceType": "Bundle", "type": "searchset"}', [], id="a bundle without entries"),
        pytest.param(b'{"resourceType": "Bundle", "entry": []}', [], id="a bundle with no entry"),
        pytest.param(
            b'{"entry": [{"resource": {"id": "1", "resourceType": "Patient"}}], "resourceType": "Bundle"}',
            ["1"],
            id="the resource type last",
        ),
        pytest.param(b'{"resourceType": "Patient", "id": "1"}', ["1"], id="a resource and no bundle"),
        pytest.param(b' \n {"resourceType": "Patient", "id": "1"} \n', ["1"], id="white space around"),
    ],
)
def test_a_bundle_or_a_single_resource(raw: bytes, ids: list[str]) -> None:
    assert decode(raw) == (ids, [])


def test_a_bundle_in_a_bundle_is_opened() -> None:
    """A server answers a batch of searches with a Bundle of searchsets."""
    inner = {"resourceType": "Bundle", "type": "searchset", "entry": [entry(observation("a")), entry(7)]}
    assert decode(fhir_bundle(entry(inner), entry(observation("b")))) == (["a", "b"], [malformed("JSON")])


BAD = {
    "wrong type of a value": (
        entry(observation(valueQuantity={"value": "1,2"})),
        malformed("Observation.valueQuantity.value"),
    ),
    "wrong type of a status": (entry(observation(status=1)), malformed("Observation.status")),
    "wrong type of an id": (entry(observation(id=5)), malformed("Observation.id")),
    "null for a list": (entry(observation(component=None)), malformed("Observation.component")),
    "an object for a list": (entry(observation(component={})), malformed("Observation.component")),
    "a type that is not read": (
        entry({"resourceType": "Claim", "id": "x"}),
        (Refusal(Reason.RESOURCE_NOT_READ, None, "Claim"), 1),
    ),
    "a bundle in a bundle in a bundle": (
        entry({"resourceType": "Bundle", "entry": [entry({"resourceType": "Bundle", "entry": []})]}),
        (Refusal(Reason.RESOURCE_NOT_READ, None, "Bundle"), 1),
    ),
    "no type": (entry({"id": "x"}), malformed("JSON")),
    "a type that is a number": (entry({"resourceType": 5}), malformed("JSON")),
    "a type that is a sentence": (entry({"resourceType": f"{SECRET} was here"}), malformed("JSON")),
    "a type that imitates a path": (entry({"resourceType": f"x - at `${SECRET}`"}), malformed("JSON")),
    "a resource that is a text": (entry(SECRET), malformed("JSON")),
    "a resource that is null": (entry(None), malformed("JSON")),
    "an entry without a resource": ({"fullUrl": "https://ehr.example"}, malformed("Bundle.entry")),
    "an entry that is a number": (7, malformed("Bundle.entry")),
    "an entry that is null": (None, malformed("Bundle.entry")),
}


@pytest.mark.parametrize(("bad", "refusal"), BAD.values(), ids=BAD.keys())
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_bad_entry_costs_itself_and_not_its_neighbours(bad: object, refusal: tuple[Refusal, int], place: int) -> None:
    entries = [entry(observation("a")), entry(observation("b"))]
    entries.insert(place, bad)  # type: ignore[arg-type]
    assert decode(fhir_bundle(*entries)) == (["a", "b"], [refusal])


def test_the_slow_path_reads_what_the_fast_path_reads() -> None:
    resources = [
        observation("1", component=[{"code": {"text": "x"}, "valueInteger": 3}]),
        {"resourceType": "Patient", "id": "2", "gender": "female", "birthDate": "1950"},
        {"resourceType": "Encounter", "id": "3", "class": {"code": "IMP"}, "period": {"start": "2026"}},
        {"resourceType": "Condition", "id": "4", "recordedDate": "2026"},
        {"resourceType": "Medication", "id": "5", "code": {"text": "x"}},
        {"resourceType": "MedicationRequest", "id": "6", "doNotPerform": True},
        {"resourceType": "MedicationAdministration", "id": "7", "effectivePeriod": {"end": "2026"}},
        {"resourceType": "OperationOutcome", "id": "8", "issue": []},
        {"resourceType": "Procedure", "id": "9", "performedPeriod": {"start": "2026"}},
        {"resourceType": "MedicationStatement", "id": "10", "dateAsserted": "2026"},
        {"resourceType": "DiagnosticReport", "id": "11", "result": [{"reference": "Observation/1"}]},
        {"resourceType": "ServiceRequest", "id": "12", "authoredOn": "2026"},
        {"resourceType": "Specimen", "id": "13", "type": {"text": "x"}},
        {"resourceType": "Location", "id": "14", "type": [{"text": "x"}]},
    ]
    entries = [entry(resource) for resource in resources]
    fast = list(decode_searchset(fhir_bundle(*entries), Refusals()))
    slow = list(decode_searchset(fhir_bundle(*entries, None), Refusals()))
    assert list(map(plain, fast)) == list(map(plain, slow))
    assert len(fast) == len(fhir.KNOWN_TYPES)


ODD_VALUES = {
    "a number beyond any float": b"1e999",
    "a negative one": b"-1e999",
    "an exponent of twelve digits": b"1e400000000000",
    "an integer of 400 digits": b"1" * 400,
    "an integer of 5000 digits": b"1" * 5_000,
    "an integer of 5000 digits, and a point": b"1" * 5_000 + b".0",
    "a text": b'"7.3"',
    "a list": b"[7.3]",
    "a truth": b"true",
}


@pytest.mark.parametrize("number", ODD_VALUES.values(), ids=ODD_VALUES.keys())
def test_a_number_that_is_none_costs_its_resource_and_raises_nothing(number: bytes) -> None:
    bad = b'{"resourceType": "Observation", "valueQuantity": {"value": %b}}' % number
    raw = fhir_bundle(entry(observation("a")), entry("BAD"), entry(observation("b"))).replace(b'"BAD"', bad)
    assert decode(raw) == (["a", "b"], [malformed("Observation.valueQuantity.value")])
    assert decode(bad) == ([], [malformed("Observation.valueQuantity.value")])


@pytest.mark.parametrize("number", [b"1e999", b"1" * 5_000, b"1.5", b'"3"'])
def test_an_integer_that_is_none_costs_its_resource_and_raises_nothing(number: bytes) -> None:
    bad = b'{"resourceType": "Observation", "valueInteger": %b}' % number
    assert decode(bad) == ([], [malformed("Observation.valueInteger")])


def test_odd_numbers_in_fields_that_are_not_read_pass_by() -> None:
    for number in (b"1e999", b"1" * 5_000):
        assert decode(b'{"resourceType": "Patient", "id": "1", "multipleBirthInteger": %b}' % number) == (["1"], [])


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"7", id="a number"),
        pytest.param(b'{"resourceType": "Patient"', id="broken off"),
        pytest.param(b'{"resourceType": "Patient"} {}', id="two of them"),
        pytest.param(b'{"resourceType": "Observation", "valueQuantity": {"value": NaN}}', id="NaN"),
        pytest.param(b'{"resourceType": "Observation", "valueQuantity": {"value": -Infinity}}', id="Infinity"),
        pytest.param(
            b'{"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient"}}', id="a bundle broken off"
        ),
        pytest.param(b'\xef\xbb\xbf{"resourceType": "Patient"}', id="a byte order mark"),
        pytest.param(b'{"resourceType": "Patient", "id": "\\ud800"}', id="half a surrogate pair"),
    ],
)
def test_what_is_no_json_object_is_one_refusal(raw: bytes) -> None:
    assert decode(raw) == ([], [malformed("JSON")])


def test_text_that_is_no_utf_8_costs_its_resource_and_raises_nothing() -> None:
    bad = b'{"resourceType": "Patient", "id": "M\xfcller"}'
    raw = fhir_bundle(entry(observation("a")), entry("BAD")).replace(b'"BAD"', bad)
    assert decode(bad) == ([], [malformed("Patient")])
    assert decode(raw) == (["a"], [malformed("Patient")])
    assert decode(b'{"resourceType": "M\xfcller"}') == ([], [malformed("JSON")])


@pytest.mark.parametrize("field", ["note", "code"])
def test_nesting_without_end_is_raised_and_not_counted_as_one_bad_entry(field: str) -> None:
    """The router answers it with 400: it is an attack on the whole request."""
    deep = b"[" * 100_000 + b"]" * 100_000
    resource = b'{"resourceType": "Observation", "%b": %b}' % (field.encode(), deep)
    for raw in (resource, fhir_bundle(entry("DEEP")).replace(b'"DEEP"', resource)):
        refusals = Refusals()
        with pytest.raises(RecursionError):
            list(decode_searchset(raw, refusals))
        assert refusals.total() == 0
    with pytest.raises(RecursionError):
        decode_resource(resource, Refusals())


def test_no_refusal_repeats_what_stands_in_the_record() -> None:
    refusals = Refusals()
    for bad, _ in BAD.values():
        list(decode_searchset(fhir_bundle(bad), refusals))
    assert SECRET not in repr(refusals)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"resourceType": "Bundle"}', "Bundle"),
        (b'{"id": "1", "resourceType": "Task"}', "Task"),
        (b'{"resourceType": 5}', None),
        (b'{"resourceType": null}', None),
        (b'{"resourceType": ""}', None),
        (b'{"resourceType": "Not a type"}', None),
        ('{"resourceType": "Patiënt"}'.encode(), None),
        (b'{"resourceType": "' + b"A" * 65 + b'"}', None),
        (b"{}", None),
        (b"[]", None),
        (b"{", None),
    ],
)
def test_the_type_of_a_resource_is_read_without_trust(raw: bytes, expected: str | None) -> None:
    assert resource_type_of(raw) == expected
    assert resource_type_of(msgspec.Raw(raw)) == expected
