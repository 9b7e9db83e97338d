"""Small real models for the tests: a specification of real concepts, its words, and bundles that a server may load.

Two graphs: boosted trees, trained and exported as any model is, and a linear one whose contributions can be worked
out by hand.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightgbm
import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from features.feature import Aggregate, Aggregation, Feature, FeatureSet, Ratio
from models.bundle import (
    FORMAT,
    PERMUTATION_FORMAT,
    Band,
    BandPerformance,
    Bundle,
    Calibration,
    Explanation,
    FlowStep,
    Lineage,
    Manifest,
    Performance,
    Run,
    SourceFile,
    load,
    write,
)
from models.catalog import CatalogEntry
from models.spec import MinimumData, ModelSpec, RiskBand, ThresholdRule
from models.words import Language, ModelWords, Phrase
from serving.assess import ServedModel, serve
from training.export import Calibration as GraphCalibration
from training.export import GraphMetadata, export
from training.parity_rows import background_of, golden_by_permutation, golden_of, reference_of

DAY_HOURS, THREE_DAYS_HOURS, LIFE_HOURS = 24.0, 72.0, 50 * 8_766.0
BASE_RATE = 0.02


def _features() -> tuple[Feature, ...]:
    def last(concept: str, hours: float | None = DAY_HOURS) -> Aggregate:
        return Aggregate(concept=concept, aggregation=Aggregation.LAST, lookback_hours=hours)

    def present(concept: str, hours: float) -> Aggregate:
        return Aggregate(concept=concept, aggregation=Aggregation.PRESENT, lookback_hours=hours)

    return (
        last("heart_rate"),
        last("temperature"),
        last("creatinine", THREE_DAYS_HOURS),
        last("mean_pressure"),
        last("systolic_pressure"),
        Ratio(name="shock_index", numerator=last("heart_rate"), denominator=last("systolic_pressure")),
        present("chronic_kidney_disease", LIFE_HOURS),
        present("aminoglycoside", THREE_DAYS_HOURS),
        Aggregate(concept="age", aggregation=Aggregation.YEARS_SINCE),
        last("sex", None),
    )


def tiny_spec(**changes: Any) -> ModelSpec:
    """Ten features of eight concepts; changes replace fields."""
    fields: dict[str, Any] = {
        "id": "tiny",
        "title": "Trouble in the next 12 h",
        "description": "Estimates trouble within 12 hours. For tests.",
        "version": "0.1",
        "hooks": ("patient-view",),
        "target": "trouble within 12 hours",
        "horizon_hours": 12.0,
        "population": "Adults on a ward",
        "features": FeatureSet(_features()),
        "minimum_data": (
            MinimumData(concepts=("creatinine",), at_least=1, within_hours=THREE_DAYS_HOURS),
            MinimumData(
                concepts=("heart_rate", "temperature", "systolic_pressure"), at_least=2, within_hours=DAY_HOURS
            ),
        ),
        "bands": (
            RiskBand(id="low", indicator="info"),
            RiskBand(id="raised", indicator="warning", rule=ThresholdRule(kind="times_base_rate", value=2.0)),
            RiskBand(id="high", indicator="critical", rule=ThresholdRule(kind="times_base_rate", value=10.0)),
        ),
        "families": (("mean_pressure", "systolic_pressure"),),
        "intended_use": "Tests.",
        "out_of_scope": "Anything else.",
        "licence": "Apache-2.0",
    }
    return ModelSpec(**(fields | changes))


WORDS: Mapping[Language, ModelWords] = {
    "en": ModelWords(
        title="Trouble",
        outcome="Risk of trouble",
        horizon="in the next 12 h",
        event="get into trouble",
        event_one="gets into trouble",
        comparison="the average on the ward",
        caveat="it does not say whether anything should be done.",
        names={},
        phrases={
            "heart_rate": Phrase(high="Fast heart rate, as with pain or fever.", low="Slow heart rate."),
            "creatinine": Phrase(high="Creatinine above the reference range.", other="Creatinine of the last days."),
            "temperature": Phrase(low="Low temperature."),
        },
        version="1",
    ),
    "de": ModelWords(
        title="Ärger",
        outcome="Risiko von Ärger",
        horizon="in den nächsten 12 h",
        event="bekommen Ärger",
        event_one="bekommt Ärger",
        comparison="der Durchschnitt der Station",
        caveat="Sie sagt nicht, ob etwas zu tun ist.",
        names={},
        phrases={
            "heart_rate": Phrase(
                high="Schneller Herzschlag, wie bei Schmerz oder Fieber.", low="Langsamer Herzschlag."
            ),
            "creatinine": Phrase(high="Kreatinin über dem Referenzbereich.", other="Kreatinin der letzten Tage."),
            "temperature": Phrase(low="Niedrige Temperatur."),
        },
        version="1",
    ),
}


def tiny_entry(folder: Path, **changes: Any) -> CatalogEntry:
    """The tiny model as the catalog would hold it."""
    return CatalogEntry(spec=tiny_spec(**changes), words=WORDS, folder=folder)


# Log-odds per unit above the value at which the feature says nothing; in the order of the features.
WEIGHTS = (0.05, 1.0, 2.0, -0.02, -0.01, 0.0, 1.5, 0.5, 0.01, 0.0)
CENTRES = (80.0, 37.0, 1.0, 90.0, 120.0, 0.0, 0.0, 0.0, 60.0, 0.0)
BASE_VALUE = -4.0
# A value that is not there moves nothing, but for the pressures: nobody measured them, so nobody worried.
MISSING = (0.0, 0.0, 0.0, -0.3, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


def linear_graph(*, base: float = BASE_VALUE, leak: float = 0.0, features: str = "features", width: int = 10) -> bytes:
    """A graph of which contribution = weight × (value − centre), or MISSING where there is no value.

    Args:
        base: the base value, in log-odds.
        leak: added to the logit and to no contribution, as a faulty explanation would.
        features: the input's name.
        width: of the input and the contributions.
    """

    def constant(name: str, values: Sequence[float]) -> onnx.TensorProto:
        return numpy_helper.from_array(np.array(values, np.float32), name)

    tensors = [
        constant("weights", np.resize(WEIGHTS, width).tolist()),
        constant("centres", np.resize(CENTRES, width).tolist()),
        constant("missing", np.resize(MISSING, width).tolist()),
        constant("base", [base]),
        constant("total", [base + leak]),
        constant("one", [1.0]),
        numpy_helper.from_array(np.array([1], np.int64), "axis"),
    ]
    nodes = [
        helper.make_node("IsNaN", [features], ["is_missing"]),
        helper.make_node("Sub", [features, "centres"], ["above"]),
        helper.make_node("Mul", ["above", "weights"], ["moved"]),
        helper.make_node("Where", ["is_missing", "missing", "moved"], ["contributions"]),
        helper.make_node("ReduceSum", ["contributions", "axis"], ["sum"], keepdims=0),
        helper.make_node("Add", ["sum", "total"], ["logit"]),
        # The runtime's own Sigmoid gives 0 for tiny risks.
        helper.make_node("Neg", ["logit"], ["negated"]),
        helper.make_node("Exp", ["negated"], ["odds_against"]),
        helper.make_node("Add", ["odds_against", "one"], ["of"]),
        helper.make_node("Reciprocal", ["of"], ["probability"]),
        helper.make_node("Identity", ["base"], ["base_value"]),
    ]
    shapes = {"logit": ["N"], "probability": ["N"], "contributions": ["N", width], "base_value": [1]}
    graph = helper.make_graph(
        nodes,
        "linear",
        [helper.make_tensor_value_info(features, TensorProto.FLOAT, ["N", width])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    content: bytes = model.SerializeToString()
    return content


def random_rows(spec: ModelSpec, *, rows: int = 400, seed: int = 0) -> NDArray[np.float32]:
    """Rows float32[N, F] with values missing here and there; what counts or is always known never is."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(rows, len(spec.features)))
    for i, feature in enumerate(spec.features):
        aggregation = feature.aggregation if isinstance(feature, Aggregate) else None
        if aggregation in {Aggregation.PRESENT, Aggregation.COUNT}:
            matrix[:, i] = matrix[:, i] > 1
        else:
            matrix[rng.random(rows) < 0.2, i] = np.nan
    return matrix.astype(np.float32)


def tree_graph(spec: ModelSpec) -> tuple[bytes, NDArray[np.float32]]:
    """Boosted trees trained on random rows in which three features matter, exported as any model is; and the rows."""
    rows = random_rows(spec)
    logit = np.nan_to_num(rows[:, 0]) - np.nan_to_num(rows[:, 1]) + np.isnan(rows[:, 2])
    labels = np.random.default_rng(1).random(len(rows)) < 1 / (1 + np.exp(-2 * logit))
    trees = lightgbm.LGBMClassifier(n_estimators=15, num_leaves=5, n_jobs=1, deterministic=True, verbosity=-1)
    trees.fit(rows, labels.astype(np.int32))
    metadata = GraphMetadata(model_id=spec.id, version="1.2.0", licence=spec.licence)
    calibration = GraphCalibration(slope=1.1, intercept=-0.3)
    return export(trees, feature_names=spec.features.ids, calibration=calibration, metadata=metadata), rows


def manifest_of(spec: ModelSpec, **changes: Any) -> Manifest:
    """A manifest as training writes it; changes replace fields."""
    starts = [0.0] + [(band.rule.value or 0.0) * BASE_RATE for band in spec.bands if band.rule is not None]
    fields: dict[str, Any] = {
        "format": FORMAT,
        "model_id": spec.id,
        "version": "1.2.0",
        "created": "2026-02-01T08:00:00+00:00",
        "licence": spec.licence,
        "spec_fingerprint": spec.fingerprint,
        "features": spec.features.ids,
        "required_features": (),
        "bands": tuple(
            Band(id=band.id, indicator=band.indicator, lower_probability=start, reason="for tests")
            for band, start in zip(spec.bands, starts, strict=True)
        ),
        "calibration": Calibration(method="sigmoid", slope=1.1, intercept=-0.3),
        "base_rate": BASE_RATE,
        "lineage": Lineage(
            dataset="random numbers",
            licence="CC0-1.0",
            attribution="none",
            files=(SourceFile(name="none.psv", sha256="0" * 64, bytes=0, role="development"),),
            flow=(FlowStep(step="all", patients=400, index_times=400),),
            events=0,
            refusals={},
            positives=8,
        ),
        "run": Run(experiment=spec.id, run_id="a-run"),
        "libraries": {"onnx": "1"},
        "parity": {},
    }
    return Manifest(**(fields | changes))


def files_of(spec: ModelSpec, model: bytes, rows: NDArray[np.float32]) -> dict[str, bytes]:
    """All files of a bundle but the manifest."""
    found = BandPerformance(sensitivity=0.62, ppv=0.09, alert_rate=0.12, number_needed_to_evaluate=11.1)
    performance = Performance(
        validation="random numbers, 5 folds by patient",
        validated="2026-02-01",
        bands={band.id: found for band in spec.bands[1:]},
        details={},
    )
    return {
        "model.onnx": model,
        "golden.json": msgspec.json.encode(golden_of(model, rows[:8])),
        "reference.json": msgspec.json.encode(reference_of(spec.features.ids, rows)),
        "performance.json": msgspec.json.encode(performance),
        "MODEL_CARD.md": b"# A model for tests\n",
    }


def write_bundle(path: Path, spec: ModelSpec, model: bytes, rows: NDArray[np.float32], **changes: Any) -> Bundle:
    """Write a bundle and load it back; changes replace fields of the manifest."""
    write(path, manifest_of(spec, **changes), files_of(spec, model, rows))
    return load(path, spec)


def linear_rows() -> NDArray[np.float32]:
    """Rows around the centres, one of them all missing."""
    rows = np.array(CENTRES) + np.random.default_rng(2).normal(size=(20, len(CENTRES)))
    rows[3] = np.nan
    return rows.astype(np.float32)


PERMUTATIONS = Explanation(permutations=32, budget_ms=1_000.0, seed=7)


def written_permuted(folder: Path, graph: bytes, **changes: Any) -> Bundle:
    """A bundle of a graph that gives no contributions."""
    spec, rows = tiny_spec(), linear_rows()
    background = background_of(rows, seed=3)
    golden = golden_by_permutation(graph, rows[:4], background, seed=PERMUTATIONS.seed)
    files = files_of(spec, linear_graph(), rows) | {
        "model.onnx": graph,
        "golden.json": msgspec.json.encode(golden),
        "background.json": msgspec.json.encode(background),
    }
    fields: dict[str, Any] = {"format": PERMUTATION_FORMAT, "explanation": PERMUTATIONS}
    write(folder, manifest_of(spec, **(fields | changes)), files)
    return load(folder, spec)


def served_linear(folder: Path, *, base: float = BASE_VALUE, leak: float = 0.0, **changes: Any) -> ServedModel:
    """The linear model, ready to assess; changes replace fields of the manifest."""
    entry = tiny_entry(folder)
    graph = linear_graph(base=base, leak=leak)
    return serve(entry, write_bundle(folder / "bundle", entry.spec, graph, linear_rows(), **changes))
