"""Assessment: the FHIR resources of one call become a risk with its reasons, or a list of what is missing. Pure."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from features.events import MICROSECONDS_PER_HOUR, Events
from features.kernel import Kernel
from features.prefetch import prefetch_templates
from features.reading.interpreter import Interpreter
from features.reading.reader import Reader, Record
from features.reading.versions import FhirVersion
from features.refusals import Reason, Refusals
from features.vocabulary.concept import Kind, load_vocabulary
from features.vocabulary.units import Converter, load_units
from models.bundle import Bundle, load
from models.catalog import CatalogEntry
from models.spec import MinimumData
from serving.runtime import Scored, Scorer

AsOf: TypeAlias = Literal["clock", "latest-observation"]
AS_OF: tuple[AsOf, ...] = get_args(AsOf)

MEASURED: Kind = "observation"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ServedModel:
    """A bundle, ready to assess: everything that can be prepared before the first call.

    Attributes:
        fhir_version: of the resources that clients send; CDS Hooks does not say it, so the site does.
        ask_reports: whether clients are asked for DiagnosticReports, which may carry the times of Observations.

    Raises:
        BundleError: the bundle must not be served.
    """

    entry: CatalogEntry
    bundle: Bundle
    fhir_version: FhirVersion = "R4"
    ask_reports: bool = False
    scorer: Scorer = field(init=False)
    kernel: Kernel = field(init=False)
    interpreter: Interpreter = field(init=False)
    templates: dict[str, str] = field(init=False)
    required: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        features = self.entry.spec.features
        vocabulary = load_vocabulary().subset(features.concepts)
        manifest = self.bundle.manifest
        prepared = {
            "scorer": Scorer(self.bundle),
            "kernel": Kernel(features),
            "interpreter": Interpreter(Converter(vocabulary, load_units())),
            "templates": prefetch_templates(features, vocabulary, reports=self.ask_reports),
            "required": np.array([name in manifest.required_features for name in features.ids], np.bool_),
        }
        for name, value in prepared.items():
            object.__setattr__(self, name, value)


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """The latest value of a concept before the index time, and the one before it; times in UTC microseconds."""

    value: float
    time: int
    previous: float | None = None
    previous_time: int | None = None


Readings: TypeAlias = Mapping[str, Reading | None]


class Contributor(msgspec.Struct, frozen=True, kw_only=True):
    """What a concept, with its family, added to or took from the logit.

    There is no reading where the model saw none: nothing was measured, or nothing recent enough.
    """

    concept: str
    contribution: float
    reading: Reading | None


class Stale(msgspec.Struct, frozen=True, kw_only=True):
    """A measured concept whose latest value, of that UTC microsecond, is older than anything the model looks at."""

    concept: str
    time: int


class RefusalCount(msgspec.Struct, frozen=True, kw_only=True):
    """How often something was refused, as a card tells it; the detail, which quotes the record, is left out."""

    reason: Reason
    concept: str | None
    count: int


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All that a card's text needs beside the result: with it, a journal row gives the same card again."""

    contributors: tuple[Contributor, ...]
    absent: tuple[str, ...]
    stale: tuple[Stale, ...]
    unmet: tuple[MinimumData, ...]
    required_missing: tuple[str, ...]
    refusals: tuple[RefusalCount, ...]
    sex: float | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Assessment:
    """What came of one call.

    Attributes:
        index_time: UTC microseconds, the time for which the risk is told.
        vector: float32[F], the features; NaN where missing.
        scored: None where the minimum data were not there.
        contributors: by size of their contribution, largest first.
        absent: concepts the model reads of which nothing usable came.
        stale: measured concepts whose values are all too old.
        unmet: minimum data that were not there.
        required_missing: concepts without which the model is undefined.
        refusals: what came and was not used.
        sex: 0 female, 1 male, None where it is not known; reference ranges depend on it.
    """

    served: ServedModel
    index_time: int
    as_of: AsOf
    vector: NDArray[np.float32]
    scored: Scored | None
    contributors: tuple[Contributor, ...]
    absent: tuple[str, ...]
    stale: tuple[Stale, ...]
    unmet: tuple[MinimumData, ...]
    required_missing: tuple[str, ...]
    refusals: Refusals
    sex: float | None

    @property
    def missing_features(self) -> tuple[str, ...]:
        """Ids of the features that are NaN."""
        ids = self.served.entry.spec.features.ids
        return tuple(name for name, value in zip(ids, self.vector.tolist(), strict=True) if math.isnan(value))

    @property
    def evidence(self) -> Evidence:
        """What the journal keeps for the card's text."""
        return Evidence(
            contributors=self.contributors,
            absent=self.absent,
            stale=self.stale,
            unmet=self.unmet,
            required_missing=self.required_missing,
            refusals=tuple(
                RefusalCount(reason=refusal.reason, concept=refusal.concept, count=count)
                for refusal, count in self.refusals
            ),
            sex=self.sex,
        )


def serve(
    entry: CatalogEntry, bundle: Bundle | None = None, *, fhir_version: FhirVersion = "R4", ask_reports: bool = False
) -> ServedModel:
    """Make a model ready, with its released bundle or another one."""
    if bundle is None:
        if entry.released is None:
            raise LookupError(f"{entry.spec.id}: no bundle was released; train one with `bedside train`.")
        bundle = load(entry.released, entry.spec)
    return ServedModel(entry=entry, bundle=bundle, fhir_version=fhir_version, ask_reports=ask_reports)


def assess(
    served: ServedModel, patient: str, resources: Iterable[msgspec.Raw], *, now: int, as_of: AsOf = "clock"
) -> Assessment:
    """Assess one patient.

    Args:
        served: the model.
        patient: the id of the patient the call is about; resources of others are refused and counted.
        resources: FHIR Bundles and single resources, as JSON.
        now: the server's clock, UTC microseconds.
        as_of: whether the index time is the clock or the latest Observation at or before it.
    """
    record = read(served, patient, resources)
    events = record.events
    index_time = now if as_of == "clock" else _latest(served, events, now)
    _refuse_later(events, index_time, record.refusals)
    vector = served.kernel.compute(events, np.zeros(1, np.int64), np.array([index_time]))
    readings = _readings(served, events, 0, index_time)
    seen = _seen(served, readings, index_time)
    unmet = _unmet(served, readings, index_time)
    required_missing = _required_missing(served, vector[0], seen)
    scored = None if unmet or required_missing else served.scorer.score(vector)
    sex = readings.get("sex")
    return Assessment(
        served=served,
        index_time=index_time,
        as_of=as_of,
        vector=vector[0],
        scored=scored,
        contributors=_contributors(served, scored, seen),
        absent=tuple(_absent(served, readings)),
        stale=tuple(_stale(served, readings, seen)),
        unmet=unmet,
        required_missing=required_missing,
        refusals=record.refusals,
        sex=None if sex is None else sex.value,
    )


def has_minimum(served: ServedModel, events: Events, patient: int, at: int) -> bool:
    """Whether the model would say a risk of a patient at a time: the minimum data and all required features are there.

    Args:
        served: the model.
        events: of any number of patients.
        patient: into `events.patients`.
        at: UTC microseconds.
    """
    readings = _readings(served, events, patient, at)
    if _unmet(served, readings, at):
        return False
    vector = served.kernel.compute(events, np.array([patient]), np.array([at]))
    return not _required_missing(served, vector[0], _seen(served, readings, at))


def read(served: ServedModel, patient: str, resources: Iterable[msgspec.Raw]) -> Record:
    """Read what the model needs of one patient's resources."""
    reader = Reader(served.interpreter, patient=patient, version=served.fhir_version)
    for raw in resources:
        reader.read_searchset(raw)
    return reader.record()


def _latest(served: ServedModel, events: Events, now: int) -> int:
    """When the latest Observation became known, at or before the clock; the clock where there is none."""
    measured = np.isin(events.concept, [i for i, name in enumerate(events.concepts) if _kind(served, name) == MEASURED])
    known = events.known[measured & (events.known <= now)]
    return int(known.max()) if len(known) else now


def _refuse_later(events: Events, index_time: int, refusals: Refusals) -> None:
    later = events.concept[events.known > index_time]
    for concept, count in zip(*np.unique(later, return_counts=True), strict=True):
        refusals.add(Reason.AFTER_INDEX_TIME, events.concepts[concept], count=int(count))


def _kind(served: ServedModel, concept: str) -> Kind:
    return served.interpreter.vocabulary.concept(concept).kind


def _readings(served: ServedModel, events: Events, patient: int, at: int) -> Readings:
    return {concept: _reading(events, patient, concept, at) for concept in served.kernel.concepts}


def _seen(served: ServedModel, readings: Readings, at: int) -> Readings:
    """The readings that lie in the window of some feature; None for the others."""

    def is_seen(concept: str, reading: Reading) -> bool:
        hours = (at - reading.time) / MICROSECONDS_PER_HOUR
        return hours < served.entry.spec.features.longest_lookback_hours(concept)

    return {
        concept: reading if reading is not None and is_seen(concept, reading) else None
        for concept, reading in readings.items()
    }


def _unmet(served: ServedModel, readings: Readings, at: int) -> tuple[MinimumData, ...]:
    return tuple(rule for rule in served.entry.spec.minimum_data if not _is_met(rule, readings, at))


def _reading(events: Events, patient: int, concept: str, at: int) -> Reading | None:
    times, values = events.series(patient, concept, at=at)
    if not len(times):
        return None
    before = int(np.searchsorted(times, times[-1])) - 1  # of the same time there may be several
    return Reading(
        value=float(values[-1]),
        time=int(times[-1]),
        previous=float(values[before]) if before >= 0 else None,
        previous_time=int(times[before]) if before >= 0 else None,
    )


def _is_met(rule: MinimumData, readings: Readings, at: int) -> bool:
    since = at - rule.within_hours * MICROSECONDS_PER_HOUR
    found = [readings[concept] for concept in rule.concepts]
    return sum(reading is not None and reading.time > since for reading in found) >= rule.at_least


def _required_missing(served: ServedModel, vector: NDArray[np.float32], seen: Readings) -> tuple[str, ...]:
    """What lacks of features that were never missing in training: the model learned nothing for their absence."""
    lacking: dict[str, None] = {}
    for i in np.flatnonzero(served.required & np.isnan(vector)):
        concepts = served.entry.spec.features.features[i].concepts
        lacking.update(dict.fromkeys([name for name in concepts if seen[name] is None] or concepts))
    return tuple(lacking)


def _stale(served: ServedModel, readings: Readings, seen: Readings) -> Iterable[Stale]:
    """What was measured too long ago. An old order of a drug is not too old: it says that the drug is not given now."""
    for concept, reading in readings.items():
        if reading is not None and seen[concept] is None and _kind(served, concept) == MEASURED:
            yield Stale(concept=concept, time=reading.time)


def _absent(served: ServedModel, readings: Readings) -> Iterable[str]:
    """What was not measured. A diagnosis or a drug that was not recorded is no gap: not being there says something."""
    for concept, reading in readings.items():
        if reading is None and _kind(served, concept) in {MEASURED, "demographic"}:
            yield concept


def _contributors(served: ServedModel, scored: Scored | None, seen: Readings) -> tuple[Contributor, ...]:
    """Contributions added up by family of concepts, largest first."""
    if scored is None or scored.contributions is None:
        return ()
    spec = served.entry.spec
    sums: dict[tuple[str, ...], float] = {}
    for feature, contribution in zip(spec.features, scored.contributions.tolist(), strict=True):
        family = spec.family_of(feature.concepts[0])
        sums[family] = sums.get(family, 0.0) + contribution
    found = []
    for family, contribution in sums.items():
        shown = next((concept for concept in family if seen[concept] is not None), family[0])
        found.append(Contributor(concept=shown, contribution=contribution, reading=seen[shown]))
    return tuple(sorted(found, key=lambda one: -abs(one.contribution)))
