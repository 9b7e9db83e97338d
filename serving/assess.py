"""Assessment: the FHIR resources of one call become a risk with its reasons, or a list of what is missing. Pure."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from features.concept import load_vocabulary
from features.events import MICROSECONDS_PER_HOUR, Events
from features.kernel import Kernel
from features.prefetch import prefetch_templates
from features.reader import Reader, Record
from features.refusals import Reason, Refusals
from features.units import Converter, load_units
from models.bundle import Bundle, load
from models.catalog import CatalogEntry
from models.spec import MinimumData
from serving.runtime import Scored, Scorer

AsOf: TypeAlias = Literal["clock", "latest-observation"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ServedModel:
    """A bundle, ready to assess: everything that can be prepared before the first call.

    Raises:
        BundleError: the bundle must not be served.
    """

    entry: CatalogEntry
    bundle: Bundle
    scorer: Scorer = field(init=False)
    kernel: Kernel = field(init=False)
    converter: Converter = field(init=False)
    templates: dict[str, str] = field(init=False)
    required: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        features = self.entry.spec.features
        vocabulary = load_vocabulary().subset(features.concepts)
        manifest = self.bundle.manifest
        prepared = {
            "scorer": Scorer(self.bundle),
            "kernel": Kernel(features),
            "converter": Converter(vocabulary, load_units()),
            "templates": prefetch_templates(features, vocabulary),
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


class Contributor(msgspec.Struct, frozen=True, kw_only=True):
    """What a concept, with its family, added to or took from the logit; no reading where nothing was measured."""

    concept: str
    contribution: float
    reading: Reading | None


class Stale(msgspec.Struct, frozen=True, kw_only=True):
    """A concept whose latest value is older than anything the model looks at."""

    concept: str
    hours: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Assessment:
    """What came of one call.

    Attributes:
        index_time: UTC microseconds, the time for which the risk is told.
        vector: float32[F], the features; NaN where missing.
        scored: None where the minimum data were not there.
        contributors: by size of their contribution, largest first.
        absent: concepts the model reads of which nothing usable came.
        stale: concepts whose values are all too old.
        unmet: minimum data that were not there.
        required_missing: concepts without which the model is undefined.
        refusals: what came and was not used.
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


def serve(entry: CatalogEntry, bundle: Bundle | None = None) -> ServedModel:
    """Make a model ready, with its released bundle or another one."""
    if bundle is None:
        if entry.released is None:
            raise LookupError(f"{entry.spec.id}: no bundle was released; train one with `bedside train`.")
        bundle = load(entry.released, entry.spec)
    return ServedModel(entry=entry, bundle=bundle)


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
    index_time = now if as_of == "clock" else _latest(events, now)
    _refuse_later(events, index_time, record.refusals)
    vector = served.kernel.compute(events, np.zeros(1, np.int64), np.array([index_time]))
    readings = _readings(served, events, 0, index_time)
    unmet = _unmet(served, readings, index_time)
    required_missing = _required_missing(served, vector[0])
    scored = None if unmet or required_missing else served.scorer.score(vector)
    stale = tuple(_stale(served, readings, index_time))
    sex = readings.get("sex")
    return Assessment(
        served=served,
        index_time=index_time,
        as_of=as_of,
        vector=vector[0],
        scored=scored,
        contributors=_contributors(served, scored, readings),
        absent=tuple(_absent(served, readings)),
        stale=stale,
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
    if _unmet(served, _readings(served, events, patient, at), at):
        return False
    vector = served.kernel.compute(events, np.array([patient]), np.array([at]))
    return not _required_missing(served, vector[0])


def read(served: ServedModel, patient: str, resources: Iterable[msgspec.Raw]) -> Record:
    """Read what the model needs of one patient's resources."""
    reader = Reader(served.converter, patient=patient)
    for raw in resources:
        reader.read_searchset(raw)
    return reader.record()


def _latest(events: Events, now: int) -> int:
    """The latest time at or before the clock at which something was measured and known; the clock where nothing was."""
    measured = np.isin(events.concept, [i for i, name in enumerate(events.concepts) if name not in {"age", "sex"}])
    known = events.known[measured & (events.known <= now)]
    return int(known.max()) if len(known) else now


def _refuse_later(events: Events, index_time: int, refusals: Refusals) -> None:
    later = events.concept[events.known > index_time]
    for concept, count in zip(*np.unique(later, return_counts=True), strict=True):
        refusals.add(Reason.AFTER_INDEX_TIME, events.concepts[concept], count=int(count))


def _readings(served: ServedModel, events: Events, patient: int, at: int) -> dict[str, Reading | None]:
    return {concept: _reading(events, patient, concept, at) for concept in served.kernel.concepts}


def _unmet(served: ServedModel, readings: dict[str, Reading | None], at: int) -> tuple[MinimumData, ...]:
    return tuple(rule for rule in served.entry.spec.minimum_data if not _is_met(rule, readings, at))


def _reading(events: Events, patient: int, concept: str, at: int) -> Reading | None:
    times, values = events.series(patient, concept, at=at)
    if not len(times):
        return None
    before = len(times) > 1
    return Reading(
        value=float(values[-1]),
        time=int(times[-1]),
        previous=float(values[-2]) if before else None,
        previous_time=int(times[-2]) if before else None,
    )


def _is_met(rule: MinimumData, readings: dict[str, Reading | None], at: int) -> bool:
    since = at - rule.within_hours * MICROSECONDS_PER_HOUR
    found = [readings[concept] for concept in rule.concepts]
    return sum(reading is not None and reading.time > since for reading in found) >= rule.at_least


def _required_missing(served: ServedModel, vector: NDArray[np.float32]) -> tuple[str, ...]:
    """Concepts of features that were never missing in training: the model learned nothing for their absence."""
    missing = np.flatnonzero(served.required & np.isnan(vector))
    features = served.entry.spec.features.features
    return tuple(dict.fromkeys(features[i].concepts[0] for i in missing))


def _stale(served: ServedModel, readings: dict[str, Reading | None], at: int) -> Iterable[Stale]:
    for concept, reading in readings.items():
        if reading is not None:
            hours = (at - reading.time) / MICROSECONDS_PER_HOUR
            if hours >= served.entry.spec.features.longest_lookback_hours(concept):
                yield Stale(concept=concept, hours=hours)


def _absent(served: ServedModel, readings: dict[str, Reading | None]) -> Iterable[str]:
    """What was not measured. A diagnosis or a drug that was not recorded is no gap: not being there says something."""
    for concept, reading in readings.items():
        if reading is None and served.converter.vocabulary.concept(concept).kind in {"observation", "demographic"}:
            yield concept


def _contributors(
    served: ServedModel, scored: Scored | None, readings: dict[str, Reading | None]
) -> tuple[Contributor, ...]:
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
        shown = next((concept for concept in family if readings.get(concept) is not None), family[0])
        found.append(Contributor(concept=shown, contribution=contribution, reading=readings.get(shown)))
    return tuple(sorted(found, key=lambda one: -abs(one.contribution)))
