"""An exported model in MLflow's Model Registry, in a flavour that serves images and holds no pickle."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from upath import UPath

from fpray.config import Sweep
from fpray.errors import UserError
from fpray.tracking.database import prepare_database
from fpray.tracking.experiment import artifacts_beside, found_or_made
from fpray.tracking.tracker import tracking_uri

ALIAS = "champion"
"""The alias that MLflow's own pages use for the model to serve."""
PACKAGES = ("open_clip_torch", "torch", "safetensors", "pillow", "pandas")
"""All that `served.py` needs."""
SIGNATURE = ModelSignature(
    inputs=Schema([ColSpec(DataType.string, "image")]),
    outputs=Schema([ColSpec(DataType.string, "class"), ColSpec(DataType.double, "probability")]),
)


def register_model(sweep: Sweep, storage: UPath, folder: Path, trial: str, reason: str, name: str) -> str:
    """Log an exported model in a run of its own and register it as a new version.

    Args:
        storage: the folder that the sweep's lies in.
        folder: the exported model's.
        trial, reason: which trial it is, and why that one.
        name: of the registered model, with `@` and an alias maybe.

    Returns:
        What was done, in a sentence.

    Raises:
        UserError: if the sweep is not tracked.
    """
    uri = tracking_uri(sweep, storage)
    if uri is None or sweep.tracking is None:
        raise UserError("--register: the sweep has `tracking: null`, so there is no MLflow to put the model into")
    name, _, alias = name.partition("@")
    artifacts = artifacts_beside(uri, storage)
    prepare_database(uri, artifacts)
    mlflow.set_tracking_uri(uri)
    experiment, _ = found_or_made(MlflowClient(uri), sweep, artifacts)
    with mlflow.start_run(experiment_id=experiment, run_name=f"export {trial}"):
        logged = mlflow.pyfunc.log_model(
            name="model",
            python_model=str(Path(__file__).with_name("served.py")),
            artifacts={"model": str(folder)},
            pip_requirements=[f"{package}=={version(package)}" for package in PACKAGES],
            signature=SIGNATURE,
            registered_model_name=name,
            metadata={"fpray.trial": trial, "fpray.reason": reason},
        )
    number = str(logged.registered_model_version)
    MlflowClient(uri).set_registered_model_alias(name, alias or ALIAS, number)
    return f"registered as models:/{name}@{alias or ALIAS} (version {number})"
