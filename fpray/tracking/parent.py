"""What the parent run says of its sweep: its settings, its file, the data, and the note that MLflow's pages show."""

from __future__ import annotations

import json
import tempfile
from hashlib import blake2b
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Param
from upath import UPath

from fpray.config import Sweep
from fpray.data import split_and_seed
from fpray.storage import read_if_there
from fpray.tracking import points
from fpray.tracking.seen import SeenRun

TRAIN = "id/train"
NOTE_TAG = "mlflow.note.content"
"""MLflow's own: the Markdown that it shows on the page of an experiment and of a run."""


def parent_params(sweep: Sweep) -> dict[str, str]:
    """The settings that all trials of a sweep share."""
    train = sweep.train
    values: dict[str, object] = {
        "layout": sweep.data.layout,
        "model": ", ".join(model.short for model in sweep.model.each()),
        "methods": ", ".join(sweep.methods),
        "epochs": train.epochs,
        "batch_size": train.batch_size,
        "weight_decay": train.weight_decay,
        "precision": train.precision,
        "seeds": ", ".join(map(str, train.seeds)),
        "data_seeds": ", ".join(map(str, sweep.data.seeds)),
        "sampler": sweep.search.sampler,
        "search_seed": sweep.search.seed,
    }
    return {key: str(value) for key, value in values.items()}


def log_parent(client: MlflowClient, run: SeenRun, sweep: Sweep, folder: UPath) -> None:
    """Log what a sweep's own run lacks of its settings, its data and its file, and where its folder is now.

    A setting that MLflow has keeps its first value.

    Args:
        folder: the sweep's.
    """
    missing = {key: value for key, value in parent_params(sweep).items() if key not in run.params}
    if missing:
        client.log_inputs(run.id, list(_inputs(sweep, folder).values()))
        client.log_batch(run.id, params=[Param(*item) for item in missing.items()])
        run.params |= missing
    if run.tags.get(points.FOLDER_TAG) != str(folder):
        client.set_tag(run.id, points.FOLDER_TAG, str(folder))
    file = folder / "sweep.yaml"
    content = read_if_there(file)
    digest = blake2b(content or b"", digest_size=8).hexdigest()
    if content is not None and run.tags.get(points.FILE_TAG) != digest:
        log_file(client, run.id, file)
        client.set_tag(run.id, points.FILE_TAG, digest)


def log_file(client: MlflowClient, run: str, file: UPath) -> None:
    """Upload a file as an artifact of a run, wherever it lies."""
    with tempfile.TemporaryDirectory(prefix="fpray-report-") as scratch:
        copy = Path(scratch, file.name)
        copy.write_bytes(file.read_bytes())
        client.log_artifact(run, str(copy))


def log_training_data(client: MlflowClient, run: str, sweep: Sweep, folder: UPath, draw: int) -> None:
    """Log the data that a trial was trained on, of its draw."""
    known = _inputs(sweep, folder)
    client.log_inputs(run, [own for (split, of), own in known.items() if split == TRAIN and of in (None, draw)])


def _inputs(sweep: Sweep, folder: UPath) -> dict[tuple[str, int | None], DatasetInput]:
    """Each split of the data, of each draw where there are several, as MLflow names datasets: by the digest of its
    images' names, sizes and labels."""
    found: dict[str, dict[str, Any]] = json.loads(read_if_there(folder / "data.json") or b"{}")
    source = json.dumps({"uri": str(getattr(sweep.data, "root", sweep.data.layout))})
    inputs = {}
    for key, fingerprint in found.items():
        split, draw = split_and_seed(key)
        digest = "".join(fingerprint[part][:2] for part in ("names", "sizes", "labels"))
        profile = json.dumps({"images": fingerprint["images"]})
        context = {"train": "training", "val": "validation", "test": "test"}[split.rpartition("/")[2]]
        dataset = Dataset(key, digest, "local", source, profile=profile)
        inputs[split, draw] = DatasetInput(dataset, tags=[InputTag("mlflow.data.context", context)])
    return inputs
