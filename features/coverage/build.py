"""Building the report of what was gathered: counts, codes and units by concept, with small counts withheld."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np

from features.coverage import report as told
from features.coverage.candidates import Candidates, site_draft
from features.coverage.findings import findings_of
from features.coverage.gather import Gatherer
from features.coverage.looks_like import looks_like, range_factor
from features.coverage.measured import DELAYS_MINUTES, MICROSECONDS_PER_DAY, ConceptEvents
from features.coverage.privacy import Privacy
from features.coverage.seen import NO_CONCEPT, NO_UNIT, RAW_REASONS, Outcome
from features.coverage.sketches import Floats, Ints, PatientSample
from features.refusals import Refusal
from features.vocabulary.concept import Concept, Vocabulary

MOST_CODES = 30
MOST_RANGES = 6
MOST_UNMAPPED = 40
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a report is about.

    Attributes:
        source: its name, without a path.
        model: whose concepts were looked for; None: all.
        made_on: the day.
        known: a vocabulary; what it maps, if only to other concepts than were looked for, is no candidate.
        ignored: files that were not read, each with why.
        exact: whether small counts and rare codes are told.
    """

    source: str
    model: str | None
    made_on: date
    known: Vocabulary
    ignored: Sequence[str] = ()
    exact: bool = False


def build_report(gathered: Gatherer, subject: Subject) -> told.Report:
    """The report of all that was read."""
    privacy = Privacy(smallest=1 if subject.exact else told.SMALLEST)
    builder = _Builder(gathered, privacy, subject.known)
    concepts = tuple(builder.concept(concept) for concept in gathered.interpreter.vocabulary)
    everyone, faults = gathered.measured.everyone, gathered.faults
    general = [(refusal, count) for refusal, count in gathered.refusals if refusal.concept is None]
    return told.Report(
        format=told.FORMAT,
        made_on=subject.made_on.isoformat(),
        source=subject.source,
        fhir_version=gathered.version,
        model=subject.model,
        smallest_count=privacy.smallest,
        resources=gathered.resources,
        parts=gathered.parts,
        patients=privacy.count(everyone.patients),
        patients_are_estimated=everyone.is_sample,
        newest_day=builder.newest_day(gathered.measured.dated),
        broken_lines=faults.lines,
        broken_files=tuple(faults.files),
        ignored_files=tuple(subject.ignored),
        findings=findings_of(gathered, concepts, is_model=subject.model is not None),
        concepts=concepts,
        refusals=tuple(builder.refusals(general)),
        unmapped=tuple(builder.unmapped()),
        site_draft=site_draft(concepts, subject.made_on),
    )


class _Builder:
    """Builds the parts of a report."""

    def __init__(self, gathered: Gatherer, privacy: Privacy, known: Vocabulary) -> None:
        self._gathered = gathered
        self._seen = gathered.seen
        self._privacy = privacy
        self._interpreter = gathered.interpreter
        self._candidates = Candidates(gathered, privacy, known)
        self._newest = self._newest_time(gathered.measured.dated)
        self._position = {name: i for i, name in enumerate(self._interpreter.concepts)}
        self._outcomes: defaultdict[tuple[int, int], Counter[tuple[int, int]]] = defaultdict(Counter)
        for outcome, count in self._seen.outcomes.items():
            if outcome.concept != NO_CONCEPT:
                self._outcomes[outcome.concept, outcome.code][outcome.unit, outcome.reason] += count
        self._codes: defaultdict[int, list[int]] = defaultdict(list)
        for code, concepts in enumerate(self._seen.concepts):
            for concept in concepts:
                self._codes[concept].append(code)
        self._refusals: defaultdict[str, list[tuple[Refusal, int]]] = defaultdict(list)
        for refusal, count in gathered.refusals:
            self._refusals[refusal.concept or ""].append((refusal, count))

    def concept(self, concept: Concept) -> told.ConceptCoverage:
        """What there is of one concept."""
        measured = self._gathered.measured.concepts[concept.id]
        is_known = self._privacy.tells(measured.patients.patients)
        candidates, withheld = self._candidates.of(concept)
        return told.ConceptCoverage(
            id=concept.id,
            name=concept.words["en"].name,
            kind=concept.kind,
            unit=concept.unit,
            patients=self._privacy.count(measured.patients.patients),
            patients_are_estimated=measured.patients.is_sample,
            events=self._privacy.count(measured.events, of=measured.patients.patients),
            codes=tuple(self._codes_of(concept, measured)),
            refusals=tuple(self.refusals(self._refusals[concept.id])),
            values=self._values(concept, measured) if is_known else None,
            freshness=self._freshness(concept, measured) if is_known else None,
            laboratory_ranges=tuple(self._ranges(concept)),
            candidates=candidates,
            candidates_withheld=withheld,
        )

    def refusals(self, counted: Iterable[tuple[Refusal, int]]) -> Iterator[told.RefusalCount]:
        """Refusals, the most frequent first; rare details are told together."""
        totals: Counter[tuple[str, str | None]] = Counter()
        for refusal, count in counted:
            detail = refusal.detail if self._privacy.tells(count) else None
            totals[refusal.reason.value, detail] += count
        for (reason, detail), count in totals.most_common():
            yield told.RefusalCount(reason=reason, detail=detail, count=self._privacy.count(count))

    def unmapped(self) -> Iterator[told.Unmapped]:
        """The most frequent codes that no concept has."""
        seen, privacy, shown = self._seen, self._privacy, 0
        for number in sorted(range(len(seen.codes)), key=lambda one: -seen.resources[one]):
            code, patients = seen.codes[number], seen.patients[number].patients
            if seen.concepts[number] or not code.names or not privacy.tells(patients) or shown == MOST_UNMAPPED:
                continue
            shown += 1
            yield told.Unmapped(
                kind=code.kind,
                system=code.system,
                code=code.code,
                display=code.names[0],
                resources=privacy.count(seen.resources[number]),
                patients=privacy.count(patients),
            )

    def newest_day(self, sample: PatientSample) -> str | None:
        """The day on or after which enough patients have their latest value."""
        newest = self._newest_time(sample)
        return None if newest is None else datetime.fromtimestamp(newest // 1_000_000, UTC).date().isoformat()

    def _newest_time(self, sample: PatientSample) -> int | None:
        enough = self._privacy.smallest
        return int(np.sort(sample.latest)[-enough]) if len(sample.latest) >= enough else None

    # Codes and units

    def _codes_of(self, concept: Concept, measured: ConceptEvents) -> Iterator[told.CodeCount]:
        position, seen = self._position[concept.id], self._seen
        ordered = sorted(self._codes[position], key=lambda code: -seen.resources[code])
        for number in ordered[:MOST_CODES]:
            code, patients = seen.codes[number], seen.patients[number].patients
            yield told.CodeCount(
                system=code.system or "",
                code=code.code or "",
                display=_display(concept, code.system, code.code),
                resources=self._privacy.count(seen.resources[number], of=patients),
                patients=self._privacy.count(patients),
                patients_are_estimated=seen.patients[number].is_sample,
                units=tuple(self._units(concept, number, measured, patients)),
            )

    def _units(self, concept: Concept, code: int, measured: ConceptEvents, patients: int) -> Iterator[told.UnitCount]:
        by_unit: defaultdict[int, Counter[int]] = defaultdict(Counter)
        outcomes = self._outcomes[self._position[concept.id], code]
        totals: Counter[int] = Counter()
        for (unit, _), count in outcomes.items():
            totals[unit] += count
        for (unit, reason), count in outcomes.items():
            by_unit[unit if self._privacy.tells(totals[unit]) else NO_UNIT][reason] += count
        for unit, reasons in sorted(by_unit.items(), key=lambda item: -item[1].total()):
            yield told.UnitCount(
                unit=self._seen.unit(unit),
                used=self._privacy.count(reasons[0], of=patients),
                refused=tuple(self._reasons(reasons, patients)),
                looks_like=self._looks_like(concept, code, unit, list(reasons), measured),
            )

    def _reasons(self, reasons: Counter[int], patients: int) -> Iterator[told.RefusalCount]:
        totals: Counter[str] = Counter()
        for number, count in reasons.items():
            if number:
                totals[self._interpreter.refused(number).reason.value] += count
        for reason, count in totals.most_common():
            yield told.RefusalCount(reason=reason, detail=None, count=self._privacy.count(count, of=patients))

    def _looks_like(
        self, concept: Concept, code: int, unit: int, reasons: Sequence[int], measured: ConceptEvents
    ) -> str | None:
        refused = [one for one in reasons if one and self._interpreter.refused(one).reason in RAW_REASONS]
        if not refused or concept.unit is None:
            return None
        position = self._position[concept.id]
        numbers = self._seen.numbers.of(Outcome(code, position, unit, reason) for reason in refused)
        found = looks_like(concept, self._interpreter.converter, numbers, measured.values)
        return None if found == self._seen.unit(unit) else found

    # Values, ages, ranges

    def _values(self, concept: Concept, measured: ConceptEvents) -> told.Values | None:
        histogram = measured.values
        if histogram is None or concept.plausible is None or concept.unit is None:
            return None
        position, count = self._position[concept.id], self._privacy.count
        reference = concept.reference
        return told.Values(
            unit=concept.unit,
            low=concept.plausible[0],
            high=concept.plausible[1],
            below=count(self._seen.outside[position, -1]),
            above=count(self._seen.outside[position, 1]),
            bins=tuple(
                told.BinCount(low=_short(one.low), high=_short(one.high), count=count(one.values))
                for one in histogram.coarse()
            ),
            quantiles={f"p{round(100 * share)}": _short(histogram.quantile(share)) for share in QUANTILES},
            reference=None if reference is None else {"female": reference.female, "male": reference.male},
        )

    def _freshness(self, concept: Concept, measured: ConceptEvents) -> told.Freshness | None:
        if concept.kind == "demographic" or self._newest is None:
            return None
        sample = measured.patients
        age_days = _days_before(self._newest, sample.latest)
        behind = self._gathered.measured.days_behind(concept.id)
        labels = [f"up to {minutes} min" for minutes in DELAYS_MINUTES]
        labels = ["none told", *labels[1:], f"over {DELAYS_MINUTES[-1]} min"]
        delays = zip(labels, measured.delays.tolist(), strict=True)
        return told.Freshness(
            newest_day=self.newest_day(sample),
            age_days_median=_short(float(np.median(age_days))),
            behind_days_median=None if behind is None else _short(behind),
            age_days_p90=_short(float(np.quantile(age_days, 0.9))),
            events_per_patient_median=float(np.median(sample.counts)),
            events_per_patient_p90=_short(float(np.quantile(sample.counts, 0.9))),
            delays={label: self._privacy.count(count) for label, count in delays if count},
        )

    def _ranges(self, concept: Concept) -> Iterator[told.LaboratoryRange]:
        position = self._position[concept.id]
        own = [(one, count) for one, count in self._seen.ranges.items() if one.concept == position]
        told_of = [(one, count) for one, count in own if self._privacy.tells(count)]
        for one, count in sorted(told_of, key=lambda item: -item[1])[:MOST_RANGES]:
            factor = range_factor(concept, self._interpreter.converter, one) if concept.unit else None
            yield told.LaboratoryRange(
                code=one.code,
                unit=one.key[0] or one.key[2],
                low=one.low,
                high=one.high,
                values=self._privacy.count(count),
                factor=None if factor is None else _short(factor),
            )


def _display(concept: Concept, system: str | None, code: str | None) -> str:
    """The vocabulary's own display: what stands in the records may say more than it should."""
    return next((own.display for own in concept.codes if own.covers(system or "", code or "")), "")


def _days_before(newest: int, times: Ints) -> Floats:
    ages: Floats = np.maximum(newest - times, 0) / MICROSECONDS_PER_DAY
    return ages


def _short(number: float) -> float:
    """Three digits are what a distribution is good for."""
    return float(f"{number:.3g}")
