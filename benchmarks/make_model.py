"""Makes the benchmark model: trained, exported, proved and written as a bundle, as any model is.

Its rows are random numbers in the ranges of real concepts, so that a request's values meet the trees' splits. What was
made is kept in a cache folder until the model, the exporter or a library changes.
"""

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightgbm
import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx.utils import Extractor

import training.export
from benchmarks.model import BENCHMARK, SAMPLES, VITALS, BenchmarkModel, FloatMatrix, benchmark_ids, benchmark_spec
from features.vocabulary.concept import load_vocabulary
from models.bundle import (
    FORMAT,
    Band,
    BandPerformance,
    BundleError,
    Calibration,
    FlowStep,
    Lineage,
    Manifest,
    Performance,
    Run,
    load,
    write,
)
from models.spec import ModelSpec
from training.export import GraphMetadata, export, prove
from training.parity_rows import golden_of, reference_of

CACHE = Path(".bedside/bench")
TREES, LEAVES, MISSING_SHARE = 300, 31, 0.2
TRAINING_ROWS, PROOF_ROWS, GOLDEN_ROWS, KEPT_ROWS = 20_000, 200, 16, 1_000
READINGS_A_DAY = 4  # from which a made patient's last, min, max and mean of a vital sign are taken
LIBRARIES = ("lightgbm", "numpy", "onnx", "onnxruntime")


def benchmark_model(cache: Path = CACHE, *, copies: int = 1, trees: int = TREES) -> BenchmarkModel:
    """The model from the cache folder, or made anew.

    Args:
        cache: the folder of all benchmark files.
        copies: bundles of the same graph under ids of their own.
        trees: fewer of them for a quick look; the published figures have 300.
    """
    model = BenchmarkModel(folder=cache / f"model-{_key(trees)}")
    if not model.booster.exists():
        rows, labels = training_rows()
        booster = train(rows, labels, trees=trees)
        graph, proof = _exported(booster, rows)
        model.folder.mkdir(parents=True, exist_ok=True)
        model.score.write_bytes(score_graph(graph))
        _write_bundle(model, BENCHMARK, graph, rows, proof, base_rate=float(labels.mean()))
        np.save(model.folder / "rows.npy", rows[:KEPT_ROWS])
        booster.save_model(str(model.booster))  # last: it says that all is there
    for model_id in benchmark_ids(copies)[1:]:
        _copy_bundle(model, model_id)
    return model


def training_rows(count: int = TRAINING_ROWS, *, seed: int = 0) -> tuple[FloatMatrix, NDArray[np.bool_]]:
    """Rows float32[count, 30] in the units of the concepts, NaN where missing, and a label bool[count] for each."""
    rng = np.random.default_rng(seed)
    vocabulary = load_vocabulary()
    columns: list[NDArray[np.float64]] = []
    for name in (*VITALS, *SAMPLES):
        reference = vocabulary.concept(name).reference
        assert reference is not None, f"{name}: expected a concept with a reference range."
        low, high = reference.female
        readings = rng.normal((low + high) / 2, 0.6 * (high - low), (READINGS_A_DAY, count))
        last = readings[-1]
        columns += [last] if name in SAMPLES else [last, readings.min(0), readings.max(0), readings.mean(0)]
    rows = np.stack(columns, axis=1)
    z = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    labels = rng.random(count) < 1 / (1 + np.exp(1.5 - z[:, 0] - z[:, 4] * z[:, 9] + z[:, 20] - z[:, 24]))
    rows[rng.random(rows.shape) < MISSING_SHARE] = np.nan
    return rows.astype(np.float32), labels


def train(rows: FloatMatrix, labels: NDArray[np.bool_], *, trees: int = TREES, leaves: int = LEAVES) -> Any:
    """A LightGBM booster on the rows."""
    settings = {"objective": "binary", "num_leaves": leaves, "num_threads": 1, "verbose": -1, "seed": 0}
    names = list(benchmark_spec().features.ids) if rows.shape[1] == len(benchmark_spec().features) else "auto"
    return lightgbm.train(settings, lightgbm.Dataset(rows, labels, feature_name=names), num_boost_round=trees)


def score_graph(graph: bytes) -> bytes:
    """The scoring nodes alone: a session runs all nodes whatever is asked of it."""
    score = Extractor(onnx.load_from_string(graph)).extract_model(["features"], ["logit", "probability"])
    content: bytes = score.SerializeToString()
    return content


def _exported(booster: Any, rows: FloatMatrix) -> tuple[bytes, dict[str, Any]]:
    spec = benchmark_spec()
    metadata = GraphMetadata(model_id=spec.id, version=spec.version, licence=spec.licence)
    graph = export(booster, feature_names=spec.features.ids, calibration=None, metadata=metadata)
    return graph, prove(graph, booster, None, rows[:PROOF_ROWS]).as_dict()


def _write_bundle(
    model: BenchmarkModel, model_id: str, graph: bytes, rows: FloatMatrix, proof: dict[str, Any], *, base_rate: float
) -> None:
    spec = benchmark_spec(model_id)
    found = BandPerformance(sensitivity=0.5, ppv=0.5, alert_rate=0.2, number_needed_to_evaluate=2.0)
    performance = Performance(
        validation="random numbers",
        validated="2026-11-24",
        bands={band.id: found for band in spec.bands[1:]},
        details={},
    )
    files = {
        "model.onnx": graph,
        "golden.json": msgspec.json.encode(golden_of(graph, rows[:GOLDEN_ROWS])),
        "reference.json": msgspec.json.encode(reference_of(spec.features.ids, rows)),
        "performance.json": msgspec.json.encode(performance),
        "MODEL_CARD.md": b"# A model that measures speed\n",
    }
    write(model.bundle_folder(model_id), _manifest(spec, proof, base_rate), files)


def _manifest(spec: ModelSpec, proof: dict[str, Any], base_rate: float) -> Manifest:
    starts = (0.0, *(band.rule.value or 0.0 for band in spec.bands if band.rule is not None))
    return Manifest(
        format=FORMAT,
        model_id=spec.id,
        version=spec.version,
        created="2026-11-24T00:00:00+00:00",
        licence=spec.licence,
        spec_fingerprint=spec.fingerprint,
        features=spec.features.ids,
        required_features=(),
        bands=tuple(
            Band(id=band.id, indicator=band.indicator, lower_probability=start * base_rate, reason="for measuring")
            for band, start in zip(spec.bands, starts, strict=True)
        ),
        calibration=Calibration(method="none", slope=1.0, intercept=0.0),
        base_rate=base_rate,
        lineage=Lineage(
            dataset="random numbers",
            licence="CC0-1.0",
            attribution="none",
            files=(),
            flow=(FlowStep(step="all", patients=TRAINING_ROWS, index_times=TRAINING_ROWS),),
            events=0,
            refusals={},
            positives=round(base_rate * TRAINING_ROWS),
        ),
        run=Run(experiment=spec.id, run_id="none"),
        libraries={name: version(name) for name in LIBRARIES},
        parity=proof,
    )


def _copy_bundle(model: BenchmarkModel, model_id: str) -> None:
    """The same files under another id."""
    folder, spec = model.bundle_folder(model_id), benchmark_spec(model_id)
    try:
        load(folder, spec)
    except BundleError:
        first = model.bundle()
        manifest = msgspec.structs.replace(first.manifest, model_id=spec.id, spec_fingerprint=spec.fingerprint)
        write(folder, manifest, {name: (first.path / name).read_bytes() for name in first.manifest.files})


def _key(trees: int) -> str:
    """What the cached files depend on, as sixteen hexadecimal digits."""
    parts = (benchmark_spec().fingerprint, str(trees), *(f"{name} {version(name)}" for name in LIBRARIES))
    digest = hashlib.sha256("\n".join(parts).encode())
    here = Path(__file__)
    for source in (here, here.with_name("model.py"), *sorted(Path(training.export.__path__[0]).rglob("*.py"))):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]
