"""Findings: what in a coverage a person should look at, the worst first."""

from collections import Counter
from collections.abc import Iterator, Sequence

from features.coverage import report as told
from features.coverage.gather import Gatherer
from features.coverage.looks_like import is_strange
from features.coverage.seen import UNITS
from features.refusals import Reason

MANY = 0.2
SOME = 0.02
"""Shares of what a concept's codes name from which refusals are a problem, and a warning."""
ENOUGH_TO_SPEAK_OF_A_SHARE = 20
STALE_DAYS = 30.0
SEVERITIES: tuple[told.Severity, ...] = ("problem", "warning", "note")

_TIMES = frozenset({Reason.TIME_MISSING, Reason.TIME_INVALID, Reason.TIME_IMPRECISE})
_VALUES = frozenset(
    {Reason.VALUE_NOT_NUMERIC, Reason.VALUE_NOT_CODED, Reason.ANSWER_UNKNOWN, Reason.VALUE_CENSORED, Reason.METHOD}
)
_GROUPS: tuple[tuple[told.Topic, frozenset[Reason], str], ...] = (
    ("units-refused", UNITS, "have a unit that is missing, unknown or contradicts itself"),
    ("implausible", frozenset({Reason.VALUE_IMPLAUSIBLE}), "lie outside the plausible range"),
    ("time", _TIMES, "have no time that can be used"),
    ("value", _VALUES, "are texts, limits such as <5, or answers that the concept does not list"),
    ("status", frozenset({Reason.STATUS}), "are not final, or withdrawn"),
)


def findings_of(
    gathered: Gatherer, concepts: Sequence[told.ConceptCoverage], *, is_model: bool
) -> tuple[told.Finding, ...]:
    """All findings, the worst first.

    Args:
        gathered: what was read.
        concepts: what there is of each concept.
        is_model: whether a model needs the concepts; what is missing is a problem then.
    """
    found = [*_of_source(gathered)]
    for concept in concepts:
        found += _of_concept(concept, is_model=is_model)
        found += _of_refusals(concept, gathered)
        found += _of_units(concept)
    return tuple(sorted(found, key=lambda one: SEVERITIES.index(one.severity)))


def _of_source(gathered: Gatherer) -> Iterator[told.Finding]:
    faults = gathered.faults
    if faults:
        lines = ", ".join(f"{one.file} line {one.line}" for one in faults.shown[:3])
        text = (
            f"{faults.lines:,} lines are broken{f' ({lines})' if lines else ''}, {len(faults.files)} files break off."
        )
        yield told.Finding(severity="problem", topic="not-read", concept=None, text=text)
    if gathered.parts > 1:
        text = (
            f"Read in {gathered.parts} parts: a result that is corrected or repeated in another part counts twice "
            "here, and one whose time only a report in another part tells is counted as without a time."
        )
        yield told.Finding(severity="note", topic="parts", concept=None, text=text)
    beyond = gathered.seen.codes_beyond
    if beyond:
        text = f"{beyond:,} resources have codes beyond the first {len(gathered.seen.codes):,}; these were not listed."
        yield told.Finding(severity="warning", topic="codes-beyond", concept=None, text=text)


def _of_concept(concept: told.ConceptCoverage, *, is_model: bool) -> Iterator[told.Finding]:
    if concept.events == 0:
        severity: told.Severity = "problem" if is_model else "note"
        yield _finding(concept, severity, "not-found", _not_found(concept))
    if concept.candidates and concept.events == 0:
        first = concept.candidates[0]
        text = f"not mapped, but alike by name: {first.display} ({first.resources} times)."
        yield _finding(concept, "warning", "candidates", text)
    behind = concept.freshness.behind_days_median if concept.freshness is not None else None
    if concept.kind == "observation" and behind is not None and behind > STALE_DAYS:
        text = f"half of the patients' latest values are {behind:,.0f} days older than what else they have."
        yield _finding(concept, "note", "stale", text)


def _of_refusals(concept: told.ConceptCoverage, gathered: Gatherer) -> Iterator[told.Finding]:
    refused: Counter[Reason] = Counter()
    for refusal, count in gathered.refusals:
        if refusal.concept == concept.id and refusal.reason not in {Reason.DUPLICATE, Reason.REPLACED}:
            refused[refusal.reason] += count
    total = gathered.measured.concepts[concept.id].events + refused.total()
    for topic, reasons, what in _GROUPS:
        count = sum(refused[reason] for reason in reasons)
        severity = _severity(count, total)
        if severity is not None:
            yield _finding(concept, severity, topic, f"{count:,} of {total:,} ({count / total:.0%}) {what}.")


def _of_units(concept: told.ConceptCoverage) -> Iterator[told.Finding]:
    for code in concept.codes:
        for unit in code.units:
            if unit.looks_like is not None:
                text = f"refused numbers in {unit.unit or 'no unit'} under {code.code} look like {unit.looks_like}."
                yield _finding(concept, "warning", "other-unit", text)
    for one in [one for one in concept.laboratory_ranges if is_strange(one.factor)][:1]:
        text = (
            f"the laboratory's reference range {_range(one)} is {one.factor:g} times ours after conversion; "
            "one of the units may be wrong."
        )
        yield _finding(concept, "warning", "reference-range", text)


def _finding(concept: told.ConceptCoverage, severity: told.Severity, topic: told.Topic, text: str) -> told.Finding:
    return told.Finding(severity=severity, topic=topic, concept=concept.id, text=f"{concept.name}: {text}")


def _not_found(concept: told.ConceptCoverage) -> str:
    if concept.codes:
        return "its codes are there, but nothing could be used."
    alike = len(concept.candidates) + concept.candidates_withheld
    named = "1 code is" if alike == 1 else f"{alike} codes are"
    return f"not found{f'; {named} alike by name' if alike else ''}."


def _severity(count: int, total: int) -> told.Severity | None:
    if count < told.SMALLEST or total < ENOUGH_TO_SPEAK_OF_A_SHARE:
        return None
    return "problem" if count >= MANY * total else "warning" if count >= SOME * total else None


def _range(told_of: told.LaboratoryRange) -> str:
    bounds = "–".join("" if bound is None else f"{bound:g}" for bound in (told_of.low, told_of.high))
    return f"{bounds} {told_of.unit or ''}".strip()
