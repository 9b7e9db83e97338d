"""The training line as a whole, on a small synthetic cohort: the bundle, the ledger, and when there is neither."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from models.bundle import Band, load
from models.catalog import find
from serving.assess import serve
from training import pipeline, synthetic, tracking
from training.dataset import Dataset, DatasetError
from training.export import ParityError, export
from training.pipeline import Job, Trained, train
from training.readers import fhir_ndjson
from training.recipe import Recipe, load_recipe
from training.report import choose_bands
from training.rows import make_rows

PATIENTS, SEED = 260, 11


def small(folder: Path) -> Recipe:
    """The model's own recipe, with few trees and few resamples."""
    recipe = load_recipe(folder)
    return replace(recipe, boosted_trees={**recipe.boosted_trees, "n_estimators": 15, "bags": 2}, resamples=5, folds=3)


@pytest.fixture(scope="module")
def cohort_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort") / "fhir"
    synthetic.generate(folder, patients=PATIENTS, seed=SEED)
    return folder


@pytest.fixture(scope="module")
def dataset(cohort_folder: Path) -> Dataset:
    return fhir_ndjson.read(cohort_folder, lambda *_: None)[0]


def job(dataset: Dataset, folder: Path) -> Job:
    return Job(
        entry=find("aki"),
        datasets=(dataset, replace(dataset, role="external", name="the same again")),
        output=folder / "bundle",
        store=tracking.Store.embedded(folder / "state"),
        alias="shadow",
        now=datetime(2026, 3, 14, 9, 30, tzinfo=UTC),
        threads=1,
        compare=False,
    )


@pytest.fixture(scope="module")
def trained(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Job, Trained]:
    task = job(dataset, tmp_path_factory.mktemp("run"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "load_recipe", small)
        return task, train(task, lambda *_: None)


def test_the_bundle_is_served(trained: tuple[Job, Trained]) -> None:
    task, result = trained
    served = serve(task.entry, load(result.bundle, task.entry.spec))
    manifest = served.bundle.manifest
    assert manifest.created == "2026-03-14T09:30:00+00:00"
    assert [band.lower_probability for band in manifest.bands] == sorted(b.lower_probability for b in manifest.bands)
    assert 0.01 < manifest.base_rate < 0.2
    assert set(served.bundle.performance.bands) == {band.id for band in manifest.bands[1:]}


def test_what_was_never_missing_in_training_is_required_at_a_call(trained: tuple[Job, Trained]) -> None:
    task, result = trained
    manifest = load(result.bundle, task.entry.spec).manifest
    assert "age_years_since" in manifest.required_features
    assert "albumin_last_168h" not in manifest.required_features


def test_the_lineage_names_every_file_with_its_true_hash(
    trained: tuple[Job, Trained], dataset: Dataset, cohort_folder: Path
) -> None:
    task, result = trained
    lineage = load(result.bundle, task.entry.spec).manifest.lineage
    assert {file.name for file in lineage.files} >= {"Patient.ndjson", "Observation.ndjson"}
    told = {file.name: (file.sha256, file.bytes) for file in lineage.files}
    files = {path.name: path.read_bytes() for path in cohort_folder.iterdir()}
    assert told == {name: (hashlib.sha256(content).hexdigest(), len(content)) for name, content in files.items()}
    assert lineage.events == len(dataset.record.events)
    assert lineage.refusals == dataset.record.refusals.by_reason()
    counts = [step.index_times for step in lineage.flow]
    assert counts == sorted(counts, reverse=True)
    assert 0 < lineage.positives < counts[-1]


def test_the_run_holds_parameters_metrics_figures_and_the_bundle(trained: tuple[Job, Trained]) -> None:
    task, result = trained
    run = MlflowClient(tracking_uri=task.store.tracking_uri).get_run(result.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["n_estimators"] == "15"
    assert any(name.endswith(".auroc") for name in run.data.metrics)
    artifacts = Path(run.info.artifact_uri.removeprefix("file://"))
    drawn = {path.stem for path in (artifacts / "report").glob("*.png")}
    assert drawn == {"roc", "precision_recall", "calibration", "decision", "beeswarm", "dependence"}
    kept = (artifacts / "bundle" / "model.onnx").read_bytes()
    assert hashlib.sha256(kept).hexdigest() == load(result.bundle, task.entry.spec).manifest.files["model.onnx"]


def test_the_bundle_is_a_registered_version_with_its_alias(trained: tuple[Job, Trained]) -> None:
    task, result = trained
    assert tracking.version_by_alias(task.store, model="aki", alias="shadow") == (result.version, result.run_id)
    with pytest.raises(LookupError, match="champion"):
        tracking.version_by_alias(task.store, model="aki", alias="champion")


def test_the_model_card_tells_words_and_numbers(trained: tuple[Job, Trained]) -> None:
    task, result = trained
    card = load(result.bundle, task.entry.spec).model_card
    recipe = load_recipe(task.entry.folder)
    assert [name for name, words in recipe.card.items() if words.strip() not in card] == []
    auroc = next(iter(result.results.main.values())).performance.auroc.value
    assert auroc is not None
    assert f"{auroc:.3f}" in card
    assert "not a medical device" in card
    assert "logistic baseline" in card


def test_golden_rows_hold_no_patients_row(trained: tuple[Job, Trained], dataset: Dataset) -> None:
    task, result = trained
    golden = load(result.bundle, task.entry.spec).golden.matrix
    rows = {row.tobytes() for row in make_rows(task.entry, dataset).matrix}
    assert [row for row in golden if row.tobytes() in rows] == []
    assert bool((golden != golden).all(axis=1).any())  # noqa: PLR0124 - NaN: the all-missing row is among them


def test_the_same_data_and_seed_give_the_same_graph(
    trained: tuple[Job, Trained], dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "load_recipe", small)
    again = train(job(dataset, tmp_path), lambda *_: None)
    assert (again.bundle / "model.onnx").read_bytes() == (trained[1].bundle / "model.onnx").read_bytes()


def test_a_graph_that_differs_from_its_estimator_leaves_no_bundle(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tampered(estimator: Any, **settings: Any) -> bytes:
        wrong = replace(settings["calibration"], slope=settings["calibration"].slope + 0.01)
        return export(estimator, **settings | {"calibration": wrong})

    monkeypatch.setattr(pipeline, "load_recipe", small)
    monkeypatch.setattr(pipeline, "export", tampered)
    task = job(dataset, tmp_path)
    with pytest.raises(ParityError):
        train(task, lambda *_: None)
    assert not task.output.exists()
    (failed,) = MlflowClient(tracking_uri=task.store.tracking_uri).search_runs(["1"])
    assert failed.info.status == "FAILED"


def test_a_cohort_with_too_few_outcomes_for_the_folds_is_refused_in_words(dataset: Dataset, tmp_path: Path) -> None:
    def many_folds(folder: Path) -> Recipe:
        return replace(small(folder), folds=PATIENTS)

    task = job(dataset, tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "load_recipe", many_folds)
        with pytest.raises(DatasetError, match=r"aki cannot be trained on FHIR NDJSON fhir, the same again: .*folds"):
            train(task, lambda *_: None)
    assert not task.output.exists()


def test_bands_that_do_not_ascend_leave_the_bundle_that_stood_there(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def descending(*given: Any) -> tuple[Band, ...]:
        first, *others = choose_bands(*given)
        return (first, *reversed(others))

    monkeypatch.setattr(pipeline, "load_recipe", small)
    monkeypatch.setattr(pipeline, "choose_bands", descending)
    task = job(dataset, tmp_path)
    task.output.mkdir()
    (task.output / "manifest.json").write_text("the bundle of yesterday", encoding="utf-8")
    with pytest.raises(DatasetError, match="Expected bands that ascend"):
        train(task, lambda *_: None)
    assert (task.output / "manifest.json").read_text(encoding="utf-8") == "the bundle of yesterday"
