"""The ledger: an alias names the latest version that was given it, and a run that broke says so."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from training import tracking
from training.tracking import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One store for all tests: to lay its tables takes seconds. Each test has a model of its own."""
    yield Store.embedded(tmp_path_factory.mktemp("ledger") / "state")
    mlflow.set_tracking_uri(None)


def register(store: Store, model: str, alias: str, folder: Path) -> tuple[int, str]:
    (folder / "model.onnx").write_bytes(b"graph")
    with tracking.run(store, experiment=model, name="a run") as run:
        run.log_folder(folder, "bundle")
        return run.register(artifact="bundle", alias=alias), run.run_id


def run_of(store: Store, model: str) -> Any:
    client = MlflowClient(tracking_uri=store.tracking_uri)
    experiment = client.get_experiment_by_name(model)
    assert experiment is not None
    (found,) = client.search_runs([experiment.experiment_id])
    return found


def test_an_embedded_store_makes_its_folder_and_keeps_artefacts_there(store: Store, tmp_path: Path) -> None:
    _, run_id = register(store, "kept", "shadow", tmp_path)
    assert store.artifacts is not None
    assert (store.artifacts / run_id / "artifacts" / "bundle" / "model.onnx").read_bytes() == b"graph"


def test_a_second_registration_moves_the_alias(store: Store, tmp_path: Path) -> None:
    first = register(store, "moved", "shadow", tmp_path)
    assert tracking.version_by_alias(store, model="moved", alias="shadow") == first
    second = register(store, "moved", "shadow", tmp_path)
    assert (first[0], second[0]) == (1, 2)
    assert tracking.version_by_alias(store, model="moved", alias="shadow") == second


def test_another_alias_leaves_the_first_where_it_was(store: Store, tmp_path: Path) -> None:
    first, second = (register(store, "two", alias, tmp_path) for alias in ("champion", "shadow"))
    assert tracking.version_by_alias(store, model="two", alias="champion") == first
    assert tracking.version_by_alias(store, model="two", alias="shadow") == second


def test_a_run_that_raises_stays_in_the_ledger_as_failed(store: Store) -> None:
    def broken() -> None:
        with tracking.run(store, experiment="broken", name="a run") as run:
            run.log(parameters={"seed": 1}, metrics={"auroc": 0.8}, tags={})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    found = run_of(store, "broken")
    assert (found.info.status, found.info.run_name) == ("FAILED", "a run")
    assert found.data.params == {"seed": "1"}
    assert mlflow.active_run() is None


def test_parameters_metrics_and_tags_are_kept(store: Store) -> None:
    with tracking.run(store, experiment="logged", name="a run") as run:
        run.log(parameters={"folds": 5}, metrics={"made.auroc": 0.75}, tags={"model_id": "logged"})
    found = run_of(store, "logged")
    assert (found.info.status, found.data.params, found.data.metrics) == (
        "FINISHED",
        {"folds": "5"},
        {"made.auroc": 0.75},
    )
    assert found.data.tags["model_id"] == "logged"


@pytest.mark.parametrize(("model", "alias"), [("gout", "shadow"), ("lonely", "champion")], ids=["model", "alias"])
def test_a_model_or_an_alias_that_is_not_there_is_named(store: Store, tmp_path: Path, model: str, alias: str) -> None:
    register(store, "lonely", "shadow", tmp_path)
    with pytest.raises(LookupError, match=f"No version of '{model}' has the alias '{alias}'"):
        tracking.version_by_alias(store, model=model, alias=alias)


def test_telemetry_is_off() -> None:
    from os import environ  # noqa: PLC0415 - the import above has set it

    assert environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
