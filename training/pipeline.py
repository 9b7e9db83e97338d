"""The pipeline: data sets in, a proved, described and registered bundle out."""

import json
import tempfile
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from models.bundle import (
    FORMAT,
    Band,
    Calibration,
    Golden,
    Lineage,
    Manifest,
    Performance,
    Run,
    load,
    write,
)
from models.catalog import CatalogEntry
from training import tracking
from training.calibrate import CalibrationError, apply
from training.cross_validation import OutOfFold, cross_validate, sigmoid
from training.dataset import Dataset, DatasetError, Progress
from training.estimators import boosted_trees, fit, logistic_baseline, logits
from training.evaluate import EvaluationError
from training.export import GraphMetadata, ParityProof, export, prove
from training.figures import draw
from training.model_card import Results, model_card
from training.parity_rows import golden_of, golden_rows, reference_of
from training.recipe import Recipe, load_recipe
from training.report import (
    BandError,
    Measured,
    band_performance,
    choose_bands,
    measure,
    measure_out_of_fold,
    recalibrated,
    require_ascending,
)
from training.rows import Rows, make_rows
from training.split import SplitError
from training.utility import UtilityError

PROOF_ROWS = 2_000  # real rows that the graph is compared on, beside the constructed ones


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to train, on what, and where to put it.

    Attributes:
        entry: the model.
        datasets: the first is for development, the others are external sites.
        output: the directory to become the bundle.
        store: of the MLflow run.
        alias: of the registered version.
        now: the time of creation, aware.
        threads: for LightGBM.
        compare: whether to run the recipe's comparisons too, which takes their time again.
    """

    entry: CatalogEntry
    datasets: tuple[Dataset, ...]
    output: Path
    store: tracking.Store
    alias: str
    now: datetime
    threads: int
    compare: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What came out."""

    bundle: Path
    run_id: str
    version: int
    results: Results
    bands: tuple[Band, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Fitted:
    """The model fitted on all development rows, as a graph that was proved."""

    estimator: Any
    model: bytes
    proof: ParityProof


def train(job: Job, progress: Progress) -> Trained:
    """Train, evaluate, export, prove, write and register.

    Raises:
        DatasetError, RecipeError: the input is not what the model needs, or too little of it.
        ExportError: the graph is not the estimator; nothing is written.
    """
    try:
        return _train(job, progress)
    except (BandError, CalibrationError, EvaluationError, SplitError, UtilityError) as error:
        names = ", ".join(dataset.name for dataset in job.datasets)
        raise DatasetError(f"The model {job.entry.spec.id} cannot be trained on {names}: {error}") from error


def _train(job: Job, progress: Progress) -> Trained:
    recipe = load_recipe(job.entry.folder)
    development, *external = (make_rows(job.entry, dataset) for dataset in job.datasets)
    with tracking.run(job.store, experiment=job.entry.spec.id, name=f"{job.entry.spec.id} {recipe.version}") as run:
        trees = _cross_validate_trees(job, recipe, development, progress)
        bands = choose_bands(job.entry.spec, development, trees.probabilities)
        require_ascending(bands)
        fitted = _fit(job, recipe, development, trees, progress)
        results = _results(job, recipe, development, external, trees, fitted, bands, progress)
        progress("writing the bundle", 0, 1)
        manifest = _manifest(
            job, recipe, development, trees, bands, fitted, Run(experiment=run.experiment, run_id=run.run_id)
        )
        write(job.output, manifest, _files(job, recipe, development, manifest, fitted, results))
        load(job.output, job.entry.spec)
        version = _track(run, job, recipe, development, trees, fitted, results, manifest)
        progress("writing the bundle", 1, 1)
    return Trained(bundle=job.output, run_id=run.run_id, version=version, results=results, bands=bands)


def _cross_validate_trees(job: Job, recipe: Recipe, rows: Rows, progress: Progress) -> OutOfFold:
    make = partial(boosted_trees, recipe.boosted_trees, seed=recipe.seed, threads=job.threads)
    return cross_validate(rows, make, folds=recipe.folds, seed=recipe.seed, name="boosted trees", progress=progress)


def _fit(job: Job, recipe: Recipe, rows: Rows, trees: OutOfFold, progress: Progress) -> _Fitted:
    progress("fitting on all rows", 0, 1)
    estimator = fit(
        boosted_trees(recipe.boosted_trees, seed=recipe.seed, threads=job.threads), rows.matrix, rows.labels
    )
    progress("fitting on all rows", 1, 1)
    progress("exporting and proving", 0, 1)
    spec = job.entry.spec
    metadata = GraphMetadata(
        model_id=spec.id, version=recipe.version, licence=spec.licence, description=f"{spec.title}: {spec.target}."
    )
    model = export(
        estimator.booster_, feature_names=spec.features.ids, calibration=trees.calibration, metadata=metadata
    )
    chosen = np.random.default_rng(recipe.seed).permutation(len(rows.matrix))[:PROOF_ROWS]
    proof = prove(model, estimator.booster_, trees.calibration, rows.matrix[chosen], seed=recipe.seed)
    progress("exporting and proving", 1, 1)
    return _Fitted(estimator=estimator, model=model, proof=proof)


def _results(
    job: Job,
    recipe: Recipe,
    development: Rows,
    external: list[Rows],
    trees: OutOfFold,
    fitted: _Fitted,
    bands: tuple[Band, ...],
    progress: Progress,
) -> Results:
    out_of_fold = partial(
        measure_out_of_fold, job.entry.spec, seed=recipe.seed, resamples=recipe.resamples, progress=progress
    )
    title = f"{development.dataset.name}, {recipe.folds} folds by patient"
    main = {title: out_of_fold(development, trees, bands)}
    for rows in external:
        main |= _measure_external(job, recipe, rows, trees, fitted, bands, progress)
    baseline = cross_validate(
        development,
        logistic_baseline,
        folds=recipe.folds,
        seed=recipe.seed,
        name="logistic baseline",
        progress=progress,
    )
    comparisons = {"logistic baseline": out_of_fold(development, baseline, bands)}
    for name, comparison in recipe.comparisons.items() if job.compare else ():
        rows = make_rows(job.entry, development.dataset, comparison.apply(job.entry.spec.features))
        found = _cross_validate_trees(job, recipe, rows, progress)
        comparisons[name] = out_of_fold(rows, found, choose_bands(job.entry.spec, rows, found.probabilities))
    return Results(main=main, comparisons=comparisons)


def _measure_external(
    job: Job,
    recipe: Recipe,
    rows: Rows,
    trees: OutOfFold,
    fitted: _Fitted,
    bands: tuple[Band, ...],
    progress: Progress,
) -> dict[str, Measured]:
    raw = logits(fitted.estimator, rows.matrix)
    tell = partial(
        measure, job.entry.spec, rows, bands=bands, seed=recipe.seed, resamples=recipe.resamples, progress=progress
    )
    return {
        f"{rows.dataset.name}, as released": tell(sigmoid(apply(trees.calibration, raw))),
        f"{rows.dataset.name}, recalibrated there": tell(recalibrated(rows, raw, seed=recipe.seed)),
    }


def _manifest(
    job: Job, recipe: Recipe, rows: Rows, trees: OutOfFold, bands: tuple[Band, ...], fitted: _Fitted, run: Run
) -> Manifest:
    spec, record = job.entry.spec, rows.dataset.record
    never_missing = [not np.isnan(column).any() for column in rows.matrix.T]
    return Manifest(
        format=FORMAT,
        model_id=spec.id,
        version=recipe.version,
        created=job.now.isoformat(timespec="seconds"),
        licence=spec.licence,
        spec_fingerprint=spec.fingerprint,
        features=spec.features.ids,
        required_features=tuple(name for name, always in zip(spec.features.ids, never_missing, strict=True) if always),
        bands=bands,
        calibration=Calibration(
            method="sigmoid (Platt 1999) on out-of-fold logits",
            slope=trees.calibration.slope,
            intercept=trees.calibration.intercept,
        ),
        base_rate=float(rows.labels.mean()),
        lineage=Lineage(
            dataset=rows.dataset.name,
            licence=rows.dataset.licence,
            attribution=rows.dataset.attribution,
            files=tuple(file for dataset in job.datasets for file in dataset.files),
            flow=rows.flow,
            events=len(record.events),
            refusals=record.refusals.by_reason(),
            positives=int(rows.labels.sum()),
        ),
        run=run,
        libraries=dict(fitted.proof.library_versions),
        parity=fitted.proof.as_dict(),
    )


def _files(
    job: Job, recipe: Recipe, rows: Rows, manifest: Manifest, fitted: _Fitted, results: Results
) -> dict[str, bytes]:
    first = next(iter(results.main))
    performance = Performance(
        validation=first,
        validated=job.now.date().isoformat(),
        bands=band_performance(manifest.bands, results.main[first].performance.operating_points),
        details={title: one.as_dict() for title, one in (*results.main.items(), *results.comparisons.items())},
    )
    golden: Golden = golden_of(fitted.model, golden_rows(fitted.model, rows.matrix, seed=recipe.seed))
    return {
        "model.onnx": fitted.model,
        "golden.json": msgspec.json.encode(golden),
        "reference.json": _pretty(reference_of(manifest.features, rows.matrix)),
        "performance.json": msgspec.json.format(msgspec.json.encode(performance), indent=1),
        "MODEL_CARD.md": model_card(job.entry.spec, recipe, manifest, results).encode(),
    }


def _track(
    run: tracking.TrackedRun,
    job: Job,
    recipe: Recipe,
    rows: Rows,
    trees: OutOfFold,
    fitted: _Fitted,
    results: Results,
    manifest: Manifest,
) -> int:
    """Log what was done and what came of it, and register the bundle."""
    run.log(
        parameters={"seed": recipe.seed, "folds": recipe.folds, **recipe.boosted_trees},
        metrics=_metrics(results),
        tags={"model_id": manifest.model_id, "model_version": manifest.version, "dataset": rows.dataset.name},
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "lineage.json").write_bytes(_pretty(msgspec.to_builtins(manifest.lineage)))
        draw(folder, rows, trees, results, fitted.model, manifest)
        run.log_folder(folder, "report")
    run.log_folder(job.output, "bundle")
    return run.register(artifact="bundle", alias=job.alias)


def _metrics(results: Results) -> dict[str, float]:
    found: dict[str, float] = {}
    for title, measured in (*results.main.items(), *results.comparisons.items()):
        prefix = "".join(c if c.isalnum() else "_" for c in title)
        for name in ("auroc", "auprc", "brier", "calibration_slope", "calibration_intercept"):
            value = getattr(measured.performance, name).value
            if value is not None:
                found[f"{prefix}.{name}"] = value
        if measured.utility is not None and measured.utility.value is not None:
            found[f"{prefix}.utility"] = measured.utility.value
    return found


def _pretty(value: object) -> bytes:
    return json.dumps(value, indent=1, allow_nan=False).encode()
