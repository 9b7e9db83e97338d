"""What a coverage tells of a small ward, and what it must not tell."""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from features.coverage import gather, seen
from features.coverage.report import FEW, Report, schema
from features.reading.interpreter import load_interpreter
from features.reading.reader import Reader
from features.vocabulary.concept import load_vocabulary
from tests.features.coverage.ward import LAB, concept, coverage, everybody, findings, gathered, local, ndjson, of
from tests.features.reading.resources import coded, observation, quantity, resource

SCHEMA = Path(__file__).parents[3] / "docs" / "inspect.schema.json"


def _values(*values: float, unit: str | None = "mg/dL", patients: int = 6) -> list[dict[str, object]]:
    """Creatinine of some patients, once for each value."""
    found: list[dict[str, object]] = []
    for place, value in enumerate(values):
        said = {"value": value} if unit is None else quantity(value, unit)
        time = f"2026-11-{place % 28 + 1:02}T{place // 28:02}:00:00Z"
        found.append(of(f"p{place % patients}", observation(valueQuantity=said, effectiveDateTime=time)))
    return found


def test_the_observer_changes_nothing_of_what_is_read() -> None:
    """The report looks at the Reader that reads for training and serving; that must not notice."""
    resources = [*everybody(observation(), 6), *everybody(local("KREA", "Kreatinin"), 6), resource("Condition")]
    watched, alone = Reader(load_interpreter(), observer=seen.Seen(load_interpreter())), Reader(load_interpreter())
    assert watched.read_lines(ndjson(resources))
    assert alone.read_lines(ndjson(resources))
    one, other = watched.record(), alone.record()
    assert one.refusals == other.refusals
    assert one.events.value.tolist() == other.events.value.tolist()


def test_events_and_patients_are_those_that_settling_leaves() -> None:
    """A correction does not count twice, nor does what was withdrawn."""
    first = of("p1", observation(id="a"))
    resources = [*everybody(observation(), 6, each=2), first, first | {"status": "corrected"}]
    withdrawn = of("p2", observation(id="b"))
    resources += [withdrawn, withdrawn | {"status": "entered-in-error"}]
    report = coverage(resources)
    found = concept(report, "creatinine")
    assert (found.events, found.patients) == (13, 6)
    assert {one.reason for one in found.refusals} == {"status"}


def test_many_parts_tell_the_same_as_one_where_nothing_was_corrected() -> None:
    """Memory is bounded by settling in parts; what refers to something in a later part waits for it."""
    drugs = [
        of(
            f"p{number}",
            resource("MedicationRequest", status="active", intent="order", authoredOn="2026-11-01")
            | {"medicationReference": {"reference": "Medication/m1"}},
        )
        for number in range(7)
    ]
    vancomycin = {"resourceType": "Medication", "id": "m1", "code": coded("J01XA01", system="http://www.whocc.no/atc")}
    resources = [*drugs, *everybody(observation(), 9, each=3), vancomycin]
    one, many = coverage(resources), coverage(resources, part_resources=4)
    assert (one.parts, many.parts) == (1, 9)
    assert many.concepts == one.concepts
    assert concept(many, "vancomycin").events == 7
    assert concept(many, "vancomycin").codes[0].patients == 7
    assert [finding.topic for finding in many.findings if finding.concept is None] == ["parts"]


def test_units_are_told_by_code_with_what_became_of_them() -> None:
    resources = [
        *_values(*[1.0] * 10),
        *_values(*[88.0] * 8, unit="umol/L"),
        *_values(*[1.0] * 6, unit="mg/dL/furlong"),
    ]
    (code,) = concept(coverage(resources), "creatinine").codes
    assert (code.system, code.code, code.resources) == ("http://loinc.org", "2160-0", 24)
    assert {one.unit: (one.used, [(why.reason, why.count) for why in one.refused]) for one in code.units} == {
        "mg/dL": (10, []),
        "umol/L": (8, []),
        "mg/dL/furlong": (0, [("unit-unknown", 6)]),
    }


def test_numbers_without_a_unit_are_told_to_look_like_one_and_are_not_converted() -> None:
    resources = _values(*np.linspace(60, 110, 40).tolist(), unit=None)
    report = coverage(resources)
    found = concept(report, "creatinine")
    assert found.events == 0
    assert found.codes[0].units[0].looks_like == "umol/L"
    assert findings(report, "units-refused")[0].severity == "problem"
    assert "umol/L" in findings(report, "other-unit")[0].text


@pytest.mark.parametrize(
    ("values", "why"),
    [([1.0] * 5, "too few"), (np.geomspace(0.001, 1e6, 60).tolist(), "all over the place")],
    ids=["too few", "all over the place"],
)
def test_no_unit_is_proposed_without_good_reason(values: list[float], why: str) -> None:
    found = concept(coverage(_values(*values, unit=None)), "creatinine")
    assert found.codes[0].units[0].looks_like is None, why


def test_implausible_values_are_counted_below_and_above_and_by_unit() -> None:
    """A temperature in °F that says °C is refused, and recognised."""
    body = [quantity(value, "Cel") for value in np.linspace(97, 101, 30)] + [quantity(2.0, "Cel")] * 6
    resources = [
        of(f"p{n % 7}", observation("8310-5", valueQuantity=said, effectiveDateTime=f"2026-11-01T08:{n:02}:00Z"))
        for n, said in enumerate([*body, *[quantity(37.0, "Cel")] * 10])
    ]
    found = concept(coverage(resources), "temperature")
    assert found.values is not None
    assert (found.values.below, found.values.above) == (6, 30)
    assert sum(one.count for one in found.values.bins if isinstance(one.count, int)) == 10
    only_fahrenheit = concept(coverage(resources[:30]), "temperature")
    assert only_fahrenheit.codes[0].units[0].looks_like == "[degF]"


def test_a_laboratory_range_in_another_unit_is_a_warning() -> None:
    ranges = [{"low": {"value": 45}, "high": {"value": 84}}]
    resources = [one | {"referenceRange": ranges} for one in _values(*[1.0] * 10)]
    report = coverage(resources)
    (told,) = concept(report, "creatinine").laboratory_ranges
    assert (told.low, told.high, told.unit, told.values) == (45, 84, "mg/dL", 10)
    assert told.factor == pytest.approx(70)
    assert "70 times ours" in findings(report, "reference-range")[0].text


def test_a_laboratory_range_in_a_unit_that_converts_is_none() -> None:
    ranges = [{"low": {"value": 45, "unit": "µmol/l"}, "high": {"value": 84, "unit": "µmol/l"}}]
    report = coverage([one | {"referenceRange": ranges} for one in _values(*[1.0] * 10)])
    assert concept(report, "creatinine").laboratory_ranges[0].factor == pytest.approx(0.79, abs=0.01)
    assert findings(report, "reference-range") == []


def test_a_code_that_is_not_mapped_is_a_candidate_whose_line_maps_it(tmp_path: Path) -> None:
    """The proposed document, uncommented, is one that the vocabulary takes."""
    report = coverage(everybody(local("KREA", 'Kreatinin "i.S."', value=0.9), 6, each=2))
    (candidate, *_) = concept(report, "creatinine").candidates
    assert (candidate.code, candidate.resources, candidate.patients) == ("KREA", 12, 6)
    assert candidate.units == ("mg/dl",)
    assert candidate.median == pytest.approx(0.9, rel=0.05)
    assert findings(report, "candidates")[0].concept == "creatinine"
    (tmp_path / "site.toml").write_text(report.site_draft.replace("  # {", "  {"), encoding="utf-8")
    (mapped,) = load_vocabulary(tmp_path).lookup(LAB, "KREA")
    assert mapped.id == "creatinine"


def test_the_draft_proposes_nothing_until_somebody_uncomments_it(tmp_path: Path) -> None:
    report = coverage(everybody(local("KREA", "Kreatinin"), 6))
    (tmp_path / "site.toml").write_text(report.site_draft, encoding="utf-8")
    assert load_vocabulary(tmp_path).lookup(LAB, "KREA") == ()


def test_components_and_texts_without_a_code_are_seen_too() -> None:
    panel = observation("85354-9", valueQuantity=None) | {
        "component": [{"code": {"text": "Mittlerer arterieller Druck"}, "valueQuantity": quantity(70, "mm[Hg]")}]
    }
    (candidate, *_) = concept(coverage(everybody(panel, 6)), "mean_pressure").candidates
    assert (candidate.code, candidate.toml, candidate.units) == (None, None, ("mm[Hg]",))


def test_days_behind_stand_though_each_patient_has_dates_of_its_own() -> None:
    """Shifted dates, as in MIMIC, make ages within a source meaningless, but not within a patient."""
    resources = []
    for number in range(6):
        year = 2101 + 20 * number  # none of them a leap year
        resources.append(of(f"p{number}", observation(effectiveDateTime=f"{year}-01-01T08:00:00Z")))
        rate = observation("8867-4", valueQuantity=quantity(80, "/min"), effectiveDateTime=f"{year}-03-02T08:00:00Z")
        resources.append(of(f"p{number}", rate))
    report = coverage(resources)
    freshness = concept(report, "creatinine").freshness
    assert freshness is not None
    assert freshness.behind_days_median == 60
    assert [one.concept for one in findings(report, "stale")] == ["creatinine"]


def test_delays_are_told_in_classes() -> None:
    resources = [
        of(f"p{n}", observation(effectiveDateTime="2026-11-01T08:00:00Z", issued=f"2026-11-01T{hour}:00Z"))
        for n, hour in enumerate(["08:00"] * 5 + ["08:10"] * 6 + ["13:00"] * 7)
    ]
    freshness = concept(coverage(resources), "creatinine").freshness
    assert freshness is not None
    assert freshness.delays == {"none told": 5, "up to 15 min": 6, "up to 1440 min": 7}


# What must not be told

CANARIES = ("canaryid", "Canary Mueller", "7.31991", "canaryunit", "canarytext")


def _rare() -> list[dict[str, object]]:
    """Things that one patient alone has, some of them where they should not be."""
    mine = [
        observation(valueQuantity=quantity(7.31991, "mg/dL")),
        observation(valueQuantity={"value": 7.31991, "unit": "canaryunit"}),
        local("canarytext", "Kreatinin Canary Mueller"),
        resource("Condition", code={"text": "Diabetes mellitus Canary Mueller"}, recordedDate="2026-01-01"),
        observation(status="canarytext"),
    ]
    return [of("canaryid", one) for one in mine]


def test_nothing_that_one_patient_alone_has_is_told() -> None:
    report = coverage([*everybody(observation(), 6), *_rare()])
    text = report.encode().decode()
    assert [canary for canary in CANARIES if canary in text] == []
    assert concept(report, "creatinine").candidates_withheld == 1


def test_exact_numbers_are_told_when_asked_for_but_never_a_value_or_an_id() -> None:
    text = coverage([*everybody(observation(), 6), *_rare()], exact=True).encode().decode()
    assert [canary for canary in CANARIES if canary in text] == ["Canary Mueller", "canaryunit", "canarytext"]


def test_of_fewer_than_five_patients_nothing_but_that_they_are_few() -> None:
    found = concept(coverage(everybody(observation(), 4, each=9)), "creatinine")
    assert (found.patients, found.events, found.values, found.freshness) == (FEW, FEW, None, None)
    assert (found.codes[0].patients, found.codes[0].resources, found.codes[0].units[0].used) == (FEW, FEW, FEW)


def test_the_newest_day_is_one_that_five_patients_reach() -> None:
    early, late = everybody(observation(), 6), observation(effectiveDateTime="2026-11-20T08:00:00Z")
    assert coverage([*early, of("p0", late)]).newest_day == "2026-11-01"
    assert coverage([*early, of("p0", late)], exact=True).newest_day == "2026-11-20"


# Bounds


def test_codes_beyond_the_most_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Free texts in place of codes are without end; memory is not."""
    monkeypatch.setattr(seen, "MOST_CODES", 3)
    resources = [of(f"p{n}", local(f"L{n}", f"Name {n}")) for n in range(10)]
    report = coverage(resources)
    assert "7 resources have codes beyond the first" in findings(report, "codes-beyond")[0].text


def test_what_refers_too_far_ahead_is_refused_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "MOST_WAITING", 0)
    use = resource("MedicationRequest", status="active", intent="order", authoredOn="2026-11-01")
    resources = [of(f"p{n}", use | {"medicationReference": {"reference": "Medication/m1"}}) for n in range(6)]
    told = {one.reason: one.count for one in coverage(resources).refusals}
    assert told["reference-unresolved"] == 6


def test_a_file_that_breaks_off_is_a_fault_and_what_stands_before_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a.ndjson"
    file.write_bytes(ndjson(everybody(observation(), 6)) + b'{"resourceType": "Observation", "status": \n')
    gatherer = gathered([])
    gatherer.read_file(file)
    gatherer.read_file(tmp_path / "missing.ndjson")
    gatherer.finish()
    assert gatherer.faults.lines == 1
    assert gatherer.faults.shown[0].line == 7
    assert len(gatherer.faults.files) == 1
    assert gatherer.measured.concepts["creatinine"].events == 6


# The format


def test_a_report_is_what_its_schema_says() -> None:
    """`python -m tests.features.coverage.test_report` writes docs/inspect.schema.json anew."""
    report = coverage([*everybody(observation(), 6), *_rare()], model="sepsis")
    assert msgspec.json.decode(report.encode(), type=Report) == report
    assert json.loads(SCHEMA.read_bytes()) == json.loads(schema())


def test_what_a_model_misses_is_a_problem_and_comes_first() -> None:
    report = coverage(everybody(observation(), 6), model="sepsis")
    assert report.findings[0].severity == "problem"
    assert "heart_rate" in report.missing
    assert "creatinine" not in report.missing


if __name__ == "__main__":
    SCHEMA.write_bytes(schema())
