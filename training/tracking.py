"""Tracking: runs, artefacts and model versions in MLflow. The only file that imports mlflow."""

import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# MLflow reports its use to its makers unless told not to; a hospital's training machine tells nobody anything.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations among MLflow's own imports are not ours to mend
    import mlflow
    from mlflow.tracking import MlflowClient

logging.getLogger("mlflow").setLevel(logging.ERROR)
logging.getLogger("alembic").setLevel(logging.ERROR)

# How MLflow says that there is no such model, and no such alias; anything else is a fault of the store.
ABSENT = frozenset({"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Where runs are kept.

    Attributes:
        tracking_uri: embedded: an SQLite URL; a team's: the tracking server's.
        artifacts: folder of the artefacts of an embedded store; None where the server knows.
    """

    tracking_uri: str
    artifacts: Path | None = None

    @classmethod
    def embedded(cls, state: Path) -> "Store":
        """SQLite and files in a folder, which is made if it is not there."""
        state.mkdir(parents=True, exist_ok=True)
        folder = state.resolve()
        return cls(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}", artifacts=folder / "artifacts")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedRun:
    """A run that is under way."""

    experiment: str
    run_id: str
    _client: MlflowClient

    def log(self, *, parameters: Mapping[str, Any], metrics: Mapping[str, float], tags: Mapping[str, str]) -> None:
        """Log parameters, metrics and tags; a metric that is not a number is left out by the caller."""
        mlflow.log_params(dict(parameters))
        mlflow.log_metrics(dict(metrics))
        mlflow.set_tags(dict(tags))

    def log_folder(self, folder: Path, name: str) -> None:
        """Log all files of a folder as artefacts under a name."""
        mlflow.log_artifacts(str(folder), artifact_path=name)

    def register(self, *, artifact: str, alias: str) -> int:
        """Make an artefact folder a new version of the registered model of the experiment's name, and alias it.

        Returns:
            The version's number.
        """
        if not self._client.search_registered_models(filter_string=f"name = '{self.experiment}'"):
            self._client.create_registered_model(self.experiment)
        source = mlflow.get_artifact_uri(artifact)
        version = self._client.create_model_version(self.experiment, source, run_id=self.run_id)
        self._client.set_registered_model_alias(self.experiment, alias, version.version)
        return int(version.version)


@contextmanager
def run(store: Store, *, experiment: str, name: str) -> Iterator[TrackedRun]:
    """A run in an experiment; one that raises is marked as failed and stays in the ledger."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own, as above
        mlflow.set_tracking_uri(store.tracking_uri)
        if mlflow.get_experiment_by_name(experiment) is None:
            location = None if store.artifacts is None else store.artifacts.as_uri()
            mlflow.create_experiment(experiment, artifact_location=location)
        mlflow.set_experiment(experiment)
        with mlflow.start_run(run_name=name) as active:
            yield TrackedRun(experiment=experiment, run_id=active.info.run_id, _client=MlflowClient())


def version_by_alias(store: Store, *, model: str, alias: str) -> tuple[int, str]:
    """The version that an alias names, and the run that made it.

    Raises:
        LookupError: no such model or alias.
    """
    client = MlflowClient(tracking_uri=store.tracking_uri)
    try:
        version = client.get_model_version_by_alias(model, alias)
    except mlflow.exceptions.MlflowException as error:
        if error.error_code not in ABSENT:
            raise
        raise LookupError(f"No version of {model!r} has the alias {alias!r}.") from error
    return int(version.version), str(version.run_id)
