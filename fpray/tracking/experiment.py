"""A sweep's experiment in MLflow, and where its artifacts lie."""

from __future__ import annotations

from pathlib import Path

from mlflow import MlflowClient
from upath import UPath

from fpray.config import Sweep
from fpray.storage import is_local
from fpray.tracking.view import VIEW_TAG


def artifacts_beside(uri: str, storage: UPath) -> Path | None:
    """The folder of all artifacts, where the runs are in the sqlite file in a local storage folder; else None."""
    return Path(storage.path, "mlartifacts") if is_local(storage) and uri.startswith("sqlite:") else None


def found_or_made(client: MlflowClient, sweep: Sweep, artifacts: Path | None) -> tuple[str, str | None]:
    """The id and the shared view of the sweep's experiment, which is created if there is none; it has no view then.

    Args:
        artifacts: the folder that those of a new one go to; None for the server's own choice.
    """
    name = (sweep.tracking.experiment if sweep.tracking else None) or sweep.name
    experiment = client.get_experiment_by_name(name)
    if experiment is not None:
        return experiment.experiment_id, experiment.tags.get(VIEW_TAG)
    location = None if artifacts is None else artifacts.as_uri()
    return client.create_experiment(name, artifact_location=location), None
