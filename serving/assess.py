"""Assessment: the FHIR resources of one call become a risk with its reasons, or a list of what is missing. Pure."""

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from cds_hooks.templates import Template, TemplateVersion, read_templates
from features.events import MICROSECONDS_PER_HOUR, Events
from features.kernel import Kernel
from features.prefetch import prefetch_templates
from features.reading.interpreter import Interpreter
from features.reading.reader import Reader, Record
from features.reading.scan.searchset import Page
from features.reading.versions import FhirVersion
from features.refusals import Reason, Refusals
from features.vocabulary.units import Converter, load_units
from models.bundle import Bundle, load
from models.catalog import CatalogEntry
from models.spec import MinimumData
from serving.access import longest_lookback_hours
from serving.orders import Order, Orders, vocabulary_of
from serving.readings import Contributor, Reading, ReadingPlan, Readings, Stale
from serving.runtime import Scored, Scorer, Unexplained

__all__ = [
    "AS_OF",
    "AsOf",
    "Assessment",
    "Contributor",
    "Evidence",
    "Reading",
    "RefusalCount",
    "ServedModel",
    "Stale",
    "assess",
    "assess_unclear",
    "has_minimum",
    "latest_observation",
    "read",
    "serve",
]

AsOf: TypeAlias = Literal["clock", "latest-observation"]
AS_OF: tuple[AsOf, ...] = get_args(AsOf)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ServedModel:
    """A bundle, ready to assess: everything that can be prepared before the first call.

    Attributes:
        fhir_version: of the resources that clients send; CDS Hooks does not say it, so the site does.
        ask_reports: whether clients are asked for DiagnosticReports, which may carry the times of Observations.
        templates: prefetch templates for CDS Hooks 2.0, by key.
        queries: the templates of each version, read.
        lookback_hours: how far back the features look in Observations; infinite where one has no window.

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
    queries: dict[TemplateVersion, dict[str, Template]] = field(init=False)
    lookback_hours: float = field(init=False)
    plan: ReadingPlan = field(init=False)
    required: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        spec = self.entry.spec
        features = spec.features
        vocabulary = vocabulary_of(spec)
        templates = {
            version: prefetch_templates(features, vocabulary, version=version, reports=self.ask_reports)
            for version in get_args(TemplateVersion)
        }
        manifest = self.bundle.manifest
        prepared = {
            "scorer": Scorer(self.bundle),
            "kernel": Kernel(features),
            "interpreter": Interpreter(Converter(vocabulary, load_units())),
            "templates": templates["2.0"],
            "queries": {version: read_templates(asked, spec.hooks[0]) for version, asked in templates.items()},
            "lookback_hours": longest_lookback_hours(features, vocabulary),
            "plan": ReadingPlan(spec=spec, vocabulary=vocabulary),
            "required": np.array([name in manifest.required_features for name in features.ids], np.bool_),
        }
        for name, value in prepared.items():
            object.__setattr__(self, name, value)


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
    unexplained: Unexplained | None = None
    orders: tuple[Order, ...] = ()
    unclear_orders: int = 0


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
        orders: draft orders that asked for this.
        unclear_orders: how many draft orders might have asked, but could not be read, where none did that could.
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
    orders: tuple[Order, ...] = ()
    unclear_orders: int = 0

    @property
    def missing_features(self) -> tuple[str, ...]:
        """Ids of the features that are NaN."""
        ids = self.served.entry.spec.features.ids
        return tuple([ids[number] for number in np.flatnonzero(np.isnan(self.vector)).tolist()])

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
            unexplained=None if self.scored is None else self.scored.unexplained,
            orders=self.orders,
            unclear_orders=self.unclear_orders,
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
    served: ServedModel,
    patient: str,
    resources: Iterable[Page],
    *,
    now: int,
    as_of: AsOf = "clock",
    explain_until: float = math.inf,
    orders: Orders | None = None,
) -> Assessment:
    """Assess one patient.

    Args:
        served: the model.
        patient: the id of the patient the call is about; resources of others are refused and counted.
        resources: FHIR Bundles and single resources, as JSON, or searchsets that were read already.
        now: the server's clock, UTC microseconds.
        as_of: whether the index time is the clock or the latest Observation at or before it.
        explain_until: the instant of `time.perf_counter` after which no explanation may end; it is left out then.
        orders: the draft orders of the call, where the model reads them: they hold at the index time.
    """
    if orders is None or as_of == "clock":
        record = read(served, patient, resources, orders=orders, at=now)
        index_time = _index_time(served, record.events, now=now, as_of=as_of)
    else:  # read twice, in a demonstration: what is ordered now is ordered at a time that the record tells
        resources = tuple(resources)
        index_time = _index_time(served, read(served, patient, resources).events, now=now, as_of=as_of)
        record = read(served, patient, resources, orders=orders, at=index_time)
    events = record.events
    _refuse_later(events, index_time, record.refusals)
    vector = served.kernel.compute(events, np.zeros(1, np.int64), np.array([index_time]))
    readings = served.plan.readings(events, 0, index_time)
    seen = served.plan.seen(readings, index_time)
    unmet = _unmet(served, readings, index_time)
    required_missing = _required_missing(served, vector[0], seen)
    left = explain_until - time.perf_counter()
    scored = None if unmet or required_missing else served.scorer.score(vector, seconds=left)
    sex = readings.get("sex")
    return Assessment(
        served=served,
        index_time=index_time,
        as_of=as_of,
        vector=vector[0],
        scored=scored,
        contributors=_contributors(served, scored, seen),
        absent=served.plan.absent(readings),
        stale=tuple(served.plan.stale(readings, seen)),
        unmet=unmet,
        required_missing=required_missing,
        refusals=record.refusals,
        sex=None if sex is None else sex.value,
        orders=() if orders is None else orders.asking,
    )


def assess_unclear(served: ServedModel, orders: Orders, *, now: int, as_of: AsOf) -> Assessment:
    """What can be said where no draft order asks, but some could not be read: that nobody knows whether they do."""
    return Assessment(
        served=served,
        index_time=now,
        as_of=as_of,
        vector=np.full(len(served.entry.spec.features), np.nan, np.float32),
        scored=None,
        contributors=(),
        absent=(),
        stale=(),
        unmet=(),
        required_missing=(),
        refusals=orders.refusals,
        sex=None,
        unclear_orders=orders.unclear,
    )


def _contributors(served: ServedModel, scored: Scored | None, seen: Readings) -> tuple[Contributor, ...]:
    if scored is None or scored.contributions is None:
        return ()
    return served.plan.contributors(scored.contributions, scored.standard_error, seen)


def has_minimum(served: ServedModel, events: Events, patient: int, at: int) -> bool:
    """Whether the model would say a risk of a patient at a time: the minimum data and all required features are there.

    Args:
        served: the model.
        events: of any number of patients.
        patient: into `events.patients`.
        at: UTC microseconds.
    """
    readings = served.plan.readings(events, patient, at)
    if _unmet(served, readings, at):
        return False
    vector = served.kernel.compute(events, np.array([patient]), np.array([at]))
    return not _required_missing(served, vector[0], served.plan.seen(readings, at))


def read(
    served: ServedModel,
    patient: str,
    resources: Iterable[Page],
    *,
    orders: Orders | None = None,
    at: int = 0,
) -> Record:
    """Read what the model needs of one patient's resources, and of the draft orders at a time."""
    reader = Reader(served.interpreter, patient=patient, version=served.fhir_version)
    reader.read_searchsets(resources)
    if orders is not None:
        reader.read_drafts(orders.content, at=at)
    return reader.record()


def latest_observation(served: ServedModel, events: Events, now: int) -> int | None:
    """When the latest Observation became known, at or before the clock, in UTC microseconds; None if there is none."""
    is_measured = np.array([name in served.plan.measured for name in events.concepts], np.bool_)
    known = events.known[is_measured[events.concept] & (events.known <= now)]
    return int(known.max()) if len(known) else None


def _index_time(served: ServedModel, events: Events, *, now: int, as_of: AsOf) -> int:
    latest = None if as_of == "clock" else latest_observation(served, events, now)
    return now if latest is None else latest


def _refuse_later(events: Events, index_time: int, refusals: Refusals) -> None:
    is_later = events.known > index_time
    if not np.count_nonzero(is_later):
        return
    later = events.concept[is_later]
    for concept, count in zip(*np.unique(later, return_counts=True), strict=True):
        refusals.add(Reason.AFTER_INDEX_TIME, events.concepts[concept], count=int(count))


def _unmet(served: ServedModel, readings: Readings, at: int) -> tuple[MinimumData, ...]:
    return tuple(rule for rule in served.entry.spec.minimum_data if not _is_met(rule, readings, at))


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
