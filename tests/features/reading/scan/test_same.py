"""What scan.c reads is what Python reads: values and times to the bit, refusals to the count."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from features.reading.interpreter import Interpreter, load_interpreter
from features.reading.scan.searchset import scan
from features.vocabulary.concept import Vocabulary
from features.vocabulary.units import Converter, load_units
from tests.features.reading.clinic import CONCEPTS, interpreter
from tests.features.reading.resources import CREATININE, HEART_RATE, PATIENT, coded, observation, quantity
from tests.features.reading.scan.both_ways import bundle, by_python, compiled, needs_scan

pytestmark = needs_scan

# What may stand in an Observation: right, unusual and wrong.
FIELDS: dict[str, tuple[Any, ...]] = {
    "id": ("a", "b", "ü", 'q"q', 7, ""),
    "meta": (
        {"versionId": "2", "lastUpdated": "2026-11-24T13:00:00Z"}, {"versionId": "10"}, {"lastUpdated": "never"},
        {"versionId": 3}, {}, [], {"tag": [{"system": "x"}], "versionId": "\\u0031"},
    ),
    "identifier": (
        [{"system": "lab", "value": "1"}], [{"system": "lab", "value": "2"}], [{"value": "2"}], [], [{}],
        [{"system": "", "value": "x"}], [{"value": "x"}, {"system": "lab", "value": "1"}], {"system": "lab"}, ["lab"],
        [{"system": "lab", "value": 5}],
    ),
    "status": ("final", "amended", "corrected", "preliminary", "entered-in-error", "nonsense", "ünknown", 5),
    "code": (
        coded(CREATININE), coded(HEART_RATE), coded("67151-1"), coded("2342-4"), coded("76215-3"), coded("9269-2"),
        coded("2160-0", "1988-5"), coded("0-0"), {"coding": [{"system": "http://loinc.org", "code": 5}]}, "2160-0", [],
        {"text": "Kreatinin (Jaffé)"}, {"coding": [{"code": CREATININE, "system": "http://loinc.org", "display": "ß"}]},
    ),
    "subject": (
        {"reference": f"Patient/{PATIENT}"}, {"reference": "Patient/otto"}, {"reference": "Group/1"}, {}, "anna",
        {"reference": f"https://fhir.example/Patient/{PATIENT}"}, {"display": "Anna"},
    ),
    "effectiveDateTime": (
        "2026-11-24T12:00:00Z", "2026-11-24T12:00:00.5Z", "2026-11-24T13:00:00.1234567+01:00", "2026-11-24T12:00Z",
        "2026-11-24", "2026-02-29T12:00:00Z", "2024-02-29T12:00:00Z", "1900-02-29T00:00:00Z", "2026-11-24T24:00:00Z",
        "2026-11-24T12:00:60Z", "2026-11-24T12:00:00", "2026-11-24T12:00:00+14:00", "2026-11-24T12:00:00+13:59",
        "2026-11-24T12:00:00-00:00", "0999-11-24T12:00:00Z", "3000-01-01T00:00:00Z", "2026-11-24T12:00:00.Z", "", 12,
        "2026-11-24T12:00:00.1234567890Z", "2026-13-24T12:00:00Z", "2026-00-24T12:00:00Z", "2026-11-31T12:00:00Z",
        "2026-11-24t12:00:00Z", "2026-11-24T12:00:00z", "2026-11-24T12:00:00+1:00", " 2026-11-24T12:00:00Z",
    ),
    "issued": (
        "2026-11-24T14:00:00Z", "2026-11-24T11:00:00Z", "2026-11-24T12:00:00Z", "2026-11-24", "soon",
        "2026-11-24T14:00Z",
    ),
    "valueQuantity": (
        quantity(1.5, "mg/dL"), quantity(132, "umol/L"), quantity(1.5, "mg/dL", comparator="<"),
        quantity(14, "ng/L", comparator="<"), {"value": 1.5, "unit": "mg/dl"}, {"value": 1.5}, {}, {"unit": "mg/dL"},
        quantity(1e308, "mg/dL"), quantity(-1.0, "mg/dL"), quantity(0.1 + 0.2, "mg/dL"), quantity(7, "stone"),
        {"value": "1.5", "unit": "mg/dL"}, "1.5 mg/dL", {"value": 1.5, "unit": "µmol/L"},
        {"value": 90, "unit": "\u00b5mol/l"},
        {"value": 1.5, "code": "mg/dL"}, {"value": None, "unit": "mg/dL"}, {"value": 80, "unit": "/min"},
        quantity(12345678901234567890, "mg/dL"), quantity(10, "{score}"),
    ),
    "interpretation": ([coded("H", system="x")], [], "H", [{"coding": [{"code": 5}]}], [{"text": "high"}]),
    "referenceRange": (
        [{"low": {"value": 0.5}, "high": {"value": 1.1, "unit": "mg/dL"}}], [], {}, [{"low": 1}],
        [{"text": 5}],
    ),
    "category": ([{"text": "laboratory"}], 5),
    "note": ([{"text": 'a "quoted" note, \\ with \u2028 and 😀'}],),
    "modifierExtension": ([{"url": "x"}], []),
    "component": ([{"code": coded("8480-6"), "valueQuantity": quantity(120, "mm[Hg]")}], []),
    "valueString": ("positive",),
    "valueInteger": (5,),
    "dataAbsentReason": ({"text": "unknown"},),
    "method": ({"coding": [{"system": "http://snomed.info/sct", "code": "77938009"}]},),
    "specimen": ({"reference": "Specimen/1"},),
    "focus": ([{"reference": "Patient/child"}],),
    "contained": ([{"resourceType": "Specimen", "id": "1"}],),
    "effectivePeriod": ({"start": "2026-11-24T12:00:00Z"},),
}  # fmt: skip

USUAL = observation()
CASES = [(name, i, value) for name, values in FIELDS.items() for i, value in enumerate((*values, None))]


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, _, v in CASES], ids=[f"{n}-{i}" for n, i, _ in CASES])
def test_whatever_stands_in_a_field(name: str, value: Any) -> None:
    """An Observation with one unusual field, beside a usual one, is read alike."""
    changed = json.dumps(USUAL | {name: value})
    both = [bundle(observation(id="beside"), json.loads(changed))]
    assert compiled(both) == by_python(both)


observations = st.fixed_dictionaries(
    {"resourceType": st.just("Observation")},
    optional={name: st.sampled_from((*values, None)) for name, values in FIELDS.items()},
)
usual = st.fixed_dictionaries(
    {name: st.just(USUAL[name]) for name in ("resourceType", "subject")},
    optional={
        name: st.sampled_from(FIELDS[name][:4])
        for name in ("id", "meta", "identifier", "status", "code", "effectiveDateTime", "issued", "valueQuantity")
    },
)
others: st.SearchStrategy[Any] = st.sampled_from(
    [
        {"resourceType": "Patient", "id": PATIENT, "gender": "female", "birthDate": "1950-02-03"},
        {"resourceType": "Condition", "code": coded("E11", system="http://hl7.org/fhir/sid/icd-10"), "id": "a"},
        {"resourceType": "Nothing"}, {"resourceType": 5}, {}, [], None, "Observation",
        {"resourceType": "Bundle", "entry": [{"resource": USUAL}]},
        {"resourceType": "OperationOutcome", "issue": []},
    ]
)  # fmt: skip
searchsets = st.lists(st.one_of(usual, usual, observations, others), max_size=8)


@given(pages=st.lists(searchsets, min_size=1, max_size=3))
def test_any_searchsets(pages: list[list[Any]]) -> None:
    """Searchsets of usual, unusual and broken resources are read alike, of one patient and of all."""
    raws = [bundle(*page) for page in pages]
    assert compiled(raws) == by_python(raws)
    assert compiled(raws, only=None) == by_python(raws, only=None)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A searchset of which some bytes were lost, doubled or changed."""
    text = bytearray(bundle(*draw(st.lists(st.one_of(usual, observations), min_size=1, max_size=3))))
    for _ in range(draw(st.integers(0, 3))):
        at, length = draw(st.integers(0, len(text))), draw(st.integers(0, 8))
        text[at : at + length] = draw(st.one_of(st.binary(max_size=4), st.sampled_from(BITS), st.just(text[:at][-9:])))
    return bytes(text)


BITS = (b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"null", b"1e400", b"-", b"\xff", b"\xc3\xa9", b"\x00", b" ")


@given(text=damaged())
@example(b"")
@example(b"{" * 100_000)
@example(b'{"resourceType":"Bundle","entry":' + b"[" * 100_000)
@example(b'{"resourceType":"Bundle"}x')
@example(b'{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Observation"},}]}')
def test_any_bytes(text: bytes) -> None:
    """What is no JSON, or other JSON than expected, is read alike: nothing more, nothing less, no crash."""
    assert compiled([text]) == by_python([text])


numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
)


@given(written=numbers)
def test_any_number(written: str) -> None:
    """A number becomes the double that Python's own parser makes of it, to the last bit, or is left to that."""
    text = bundle(observation("9269-2", valueQuantity={"value": 4711.25, "unit": "{score}"}))
    raws = [text.replace(b"4711.25", written.encode())]
    known = _without_bounds()
    assert compiled(raws, known=known) == by_python(raws, known=known)


times = st.datetimes().flatmap(
    lambda one: st.sampled_from(["Z", "+01:00", "-11:30", "+13:59"]).map(
        lambda zone: one.isoformat(timespec="microseconds") + zone
    )
)


@given(effective=times, issued=times, digits=st.integers(0, 7))
def test_any_time(effective: str, issued: str, digits: int) -> None:
    """An instant in any usual way of writing becomes the same microsecond."""

    def shorter(text: str) -> str:
        clock, zone = text[:26], text[26:]
        return (clock[: 19 + digits] if digits > 1 else clock[:19]) + zone

    raws = [bundle(observation(effectiveDateTime=shorter(effective), issued=shorter(issued)))]
    assert compiled(raws) == by_python(raws)


@pytest.mark.parametrize("indent", [None, 0, 2], ids=["one line", "lines", "indented"])
@pytest.mark.parametrize("size", [1, 70, 400])
def test_however_it_is_laid_out(indent: int | None, size: int) -> None:
    """Blank space and the number of entries, more than there was room for at first, change nothing."""
    entries = [observation(id=f"o{i}", valueQuantity=quantity(1 + i / 64, "mg/dL")) for i in range(size)]
    raws = [json.dumps(json.loads(bundle(*entries)), indent=indent).encode()]
    assert compiled(raws) == by_python(raws)
    assert compiled(raws).resources == size


@pytest.mark.parametrize("known", [interpreter, load_interpreter], ids=["clinic", "packaged vocabulary"])
def test_many_wordings(known: Callable[[], Interpreter]) -> None:
    """More wordings than scan.c tells apart are read singly."""
    raws = [bundle(*(observation(id=f"o{i}") | {"code": coded(CREATININE) | {"text": f"{i}"}} for i in range(1_500)))]
    read = scan(raws[0])
    assert read is not None
    assert len(read) > 1_000
    assert read.others
    assert compiled(raws, known=known()) == by_python(raws, known=known())


def _without_bounds() -> Interpreter:
    score = next(one for one in CONCEPTS if one.id == "coma_score")
    return Interpreter(Converter(Vocabulary((replace(score, plausible=(-1.7e308, 1.7e308)),)), load_units()))
