"""One concept in the page of a coverage: its line in the overview, and all that is known of it."""

from collections.abc import Iterator, Sequence

from bedside.coverage_plots import histogram, number, shares
from bedside.html import Child, Html, code, element, table
from features.coverage.report import FEW, Candidate, CodeCount, ConceptCoverage, Count, Finding, Freshness, RefusalCount

REASON_WORDS = {
    "answer-unknown": "an answer that is not listed",
    "code-not-mapped": "a code that no concept has",
    "data-absent": "said to be absent",
    "duplicate": "the same again",
    "fhir-version": "written in another FHIR version",
    "malformed": "malformed",
    "method": "another method or specimen",
    "reference-unresolved": "refers to what is not there",
    "replaced": "replaced by a later version",
    "resource-not-read": "a type that is not read",
    "status": "status: not final, or withdrawn",
    "subject-missing": "no patient",
    "time-imprecise": "a day without a time",
    "time-invalid": "a time that cannot be read",
    "time-missing": "no time",
    "unit-contradiction": "unit and its code contradict each other",
    "unit-incompatible": "a unit of something else",
    "unit-missing": "no unit",
    "unit-unknown": "an unknown unit",
    "value-censored": "a limit such as <5",
    "value-implausible": "outside the plausible range",
    "value-missing": "no value",
    "value-not-coded": "a number in place of an answer",
    "value-not-numeric": "no number",
}
_NOT_REFUSED = frozenset({"duplicate", "replaced"})


def concept_summary(concept: ConceptCoverage, worst: Finding | None) -> tuple[Child, ...]:
    """The cells of a concept's line in the overview."""
    spark = None
    if concept.values is not None:
        spark = histogram(concept.values, label=f"Distribution of {concept.name}", is_small=True)
    newest = concept.freshness.newest_day if concept.freshness is not None else None
    mark = None if worst is None else element("span", worst.severity, class_=f"mark {worst.severity}")
    return (
        element("a", concept.name, href=f"#{concept.id}"),
        _patients(concept.patients, is_estimate=concept.patients_are_estimated),
        number(concept.events),
        _refused(concept.refusals),
        spark,
        newest,
        mark,
    )


def concept_section(concept: ConceptCoverage, findings: Sequence[Finding]) -> Html:
    """All that is known of a concept, folded away."""
    worst = element("span", findings[0].severity, class_=f"mark {findings[0].severity}") if findings else None
    said = f"{number(concept.patients)} patients, {number(concept.events)} events"
    summary = element("summary", element("strong", concept.name), element("span", said, class_="soft"), " ", worst)
    items = [element("li", one.text, class_=f"finding {one.severity}") for one in findings]
    listed = element("ul", *items, class_="findings") if items else None
    # The target of links is inside: browsers open what is folded around a target.
    return element("details", summary, element("div", listed, *_parts(concept), id=concept.id), class_="concept")


def refusals_table(refusals: Sequence[RefusalCount]) -> Html:
    """Reasons, details and counts."""
    if not refusals:
        return element("p", "Nothing was refused.", class_="soft")
    rows = ((REASON_WORDS.get(one.reason, one.reason), one.detail, number(one.count)) for one in refusals)
    return table(("Why", "Detail", "How often"), rows)


def _parts(concept: ConceptCoverage) -> Iterator[Html]:
    if concept.values is not None:
        values, unit = concept.values, concept.values.unit
        quantiles = ", ".join(f"{name} {value:g}" for name, value in values.quantiles.items())
        label = f"Distribution of {concept.name} in {unit}: {quantiles}"
        outside = f"{number(values.below)} below and {number(values.above)} above the plausible range"
        plot = element(
            "div",
            element("h3", f"Values in {unit}, over the plausible range"),
            histogram(values, label=label),
            element("p", f"{quantiles}; {outside}.", class_="soft"),
        )
        yield element("div", plot, _fresh(concept.freshness), class_="two")
    elif concept.freshness is not None:
        yield _fresh(concept.freshness)
    if concept.codes:
        yield element("h3", "Codes and units found")
        yield table(("Code", "Display", "Patients", "Resources", "Units"), map(_code, concept.codes))
    if concept.refusals:
        yield element("h3", "Refused")
        yield refusals_table(concept.refusals)
    if concept.laboratory_ranges:
        yield element("h3", "Reference ranges that the laboratory sent")
        heads = ("Range", "Unit", "Values", "Times ours")
        yield table(
            heads,
            (
                (f"{_bound(one.low)}–{_bound(one.high)}", one.unit, number(one.values), _bound(one.factor))
                for one in concept.laboratory_ranges
            ),
        )
    yield from _candidates(concept)


def _fresh(freshness: Freshness | None) -> Html:
    if freshness is None:
        return element("div")
    behind = freshness.behind_days_median
    facts = {
        "newest values": freshness.newest_day or "not to be told",
        "age of a patient's latest value, from the newest day of the source": (
            f"median {freshness.age_days_median:g} days, 90 % within {freshness.age_days_p90:g}"
        ),
        "behind the patient's latest of anything": "unknown" if behind is None else f"median {behind:g} days",
        "events per patient": (
            f"median {freshness.events_per_patient_median:g}, 90 % up to {freshness.events_per_patient_p90:g}"
        ),
    }
    items = (element("li", f"{name}: {value}") for name, value in facts.items())
    return element(
        "div",
        element("h3", "How fresh"),
        element("ul", *items),
        element("h3", "Known after the time it is of"),
        shares(freshness.delays),
    )


def _code(one: CodeCount) -> tuple[Child, ...]:
    units = [
        element(
            "div",
            element("code", unit.unit or "no unit, or a rare one"),
            f": {number(unit.used)} used",
            *(f", {number(why.count)} {REASON_WORDS.get(why.reason, why.reason)}" for why in unit.refused),
            f" — looks like {unit.looks_like}" if unit.looks_like else None,
        )
        for unit in one.units
    ]
    return (
        code(one.code, title=one.system),
        one.display,
        _patients(one.patients, is_estimate=one.patients_are_estimated),
        number(one.resources),
        element("div", *units) if units else None,
    )


def _candidates(concept: ConceptCoverage) -> Iterator[Html]:
    if not concept.candidates and not concept.candidates_withheld:
        return
    yield element("h3", "Not mapped, but alike by name")
    if concept.candidates:
        heads = ("Code", "Display", "Resources", "Patients", "Units", "Median", "System", "Alike")
        yield table(heads, map(_candidate, concept.candidates))
        lines = "\n".join(one.toml for one in concept.candidates if one.toml)
        summary = element(
            "summary",
            "Lines for the hospital's own vocabulary; the draft below names the systems",
        )
        yield element("details", summary, element("pre", f"{concept.id} = [\n{lines}\n]"))
    if concept.candidates_withheld:
        yield element("p", f"{concept.candidates_withheld} more are too rare to be named, or too many.", class_="soft")


def _candidate(one: Candidate) -> tuple[Child, ...]:
    return (
        code(one.code or ""),
        one.display,
        number(one.resources),
        number(one.patients),
        ", ".join(one.units),
        None if one.median is None else f"{one.median:g}",
        code(one.system or "none"),
        f"{one.similarity:.0%}",
    )


def _patients(count: Count, *, is_estimate: bool) -> str:
    return f"about {number(count)}" if is_estimate else number(count)


def _refused(refusals: Sequence[RefusalCount]) -> str:
    counts = [one.count for one in refusals if one.reason not in _NOT_REFUSED]
    total = sum(count for count in counts if isinstance(count, int))
    return FEW if counts and not total else number(total)


def _bound(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
