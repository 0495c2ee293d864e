"""Records: one folder for each trial, and the truth about it. Everything else is derived from them."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor
from upath import UPath

from fpray.pretrained import Model
from fpray.space import Params
from fpray.storage import write_whole


class Recorded(BaseModel):
    # JSON has no NaN: pydantic would write null, which does not read back as a number.
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class Trial(Recorded):
    """One configuration to train with one seed. `number` counts from 0 within the method and model."""

    id: str
    method: str
    number: int
    seed: int
    params: Params
    """The hyperparameters; the model's short name is one (`model`) where it is searched."""
    model: Model | None = None
    """What it starts from; None in older records, which are of the only model that their sweep had."""


class Count(Recorded):
    """How many images of a split were classified rightly."""

    correct: int
    total: int

    @property
    def top1(self) -> float:
        """Accuracy in per cent."""
        return 100 * self.correct / self.total


class Epoch(Recorded):
    """What one epoch of training gave. `epoch` and `step` count what is done; `ended` is Unix time in seconds.

    `seconds` are those of the training steps, `validation_seconds` those of the validation that followed.
    """

    epoch: int
    step: int
    lr: float
    losses: dict[str, float]
    validation: dict[str, Count]
    images: int
    seconds: float
    validation_seconds: float
    ended: float


class Movement(Recorded):
    """How far the model moved from the reference: the paper's explanation of what OOD accuracy is lost."""

    distance: float
    """L2 norm of w - w0 over encoder and head."""
    relative_distance: float
    """The same, over the norm of w0."""
    cka: dict[str, float]
    """Linear CKA of the features with the reference's, in [0, 1], on each validation split."""


class Cost(Recorded):
    """What the trial took, epochs that an interruption made it repeat left out.

    `seconds` are those of training, validation and the final evaluation; `images` is how many were trained on, and
    `images_per_second` how fast.
    """

    seconds: float
    images: int
    images_per_second: float


class Provenance(Recorded):
    """What the trial ran on and with."""

    versions: dict[str, str]
    commit: str | None
    device: str


Status = Literal["running", "finished", "failed"]


class Record(Recorded):
    """All that is known of a trial."""

    trial: Trial
    status: Status = "running"
    attempt: int = 0
    started: float
    ended: float | None = None
    history: tuple[Epoch, ...] = ()
    results: dict[str, Count] = {}
    movement: Movement | None = None
    cost: Cost | None = None
    provenance: Provenance | None = None
    error: str | None = None
    unreadable: dict[str, tuple[str, ...]] = {}
    """The images that couldn't be decoded, by split: skipped in training, counted as wrong in evaluation."""

    def metrics(self) -> dict[str, float]:
        """The final accuracies by key, see `accuracies`."""
        return accuracies(self.results)


def accuracies(results: Mapping[str, Count]) -> dict[str, float]:
    """Accuracies in per cent by metric key: each split's (`ood/sketch/test/top1`), and the OOD domains' plain mean
    (`ood/test/top1`)."""
    metrics = {f"{name}/top1": count.top1 for name, count in results.items()}
    for part in ("val", "test"):
        domains = [
            count.top1 for name, count in results.items() if name.startswith("ood/") and name.endswith(f"/{part}")
        ]
        if domains:
            metrics[f"ood/{part}/top1"] = sum(domains) / len(domains)
    return metrics


class RecordStore:
    """The folder of a sweep's records."""

    def __init__(self, folder: UPath) -> None:
        self.folder = folder

    def trial_folder(self, trial_id: str) -> UPath:
        return self.folder / "trials" / trial_id

    def checkpoint_folder(self, trial_id: str) -> UPath:
        return self.trial_folder(trial_id) / "checkpoint"

    def remove_checkpoints(self, trial_id: str) -> None:
        """Forget the checkpoints of a trial that has ended."""
        folder = self.checkpoint_folder(trial_id)
        if folder.exists():
            folder.fs.rm(folder.path, recursive=True)

    def write(self, record: Record) -> None:
        path = self.trial_folder(record.trial.id) / "record.json"
        write_whole(path, record.model_dump_json(indent=1).encode())

    def read(self, trial_id: str) -> Record:
        return Record.model_validate_json((self.trial_folder(trial_id) / "record.json").read_bytes())

    def read_all(self) -> list[Record]:
        """Every record there is, in the order of methods' names, numbers, seeds and ids."""
        trials = self.folder / "trials"
        ids = [path.name for path in trials.iterdir()] if trials.exists() else []
        records = [self.read(id) for id in ids if (self.trial_folder(id) / "record.json").exists()]
        return sorted(records, key=lambda r: (r.trial.method, r.trial.number, r.trial.seed, r.trial.id))

    def write_weights(self, trial_id: str, weights: Mapping[str, Tensor]) -> None:
        write_whole(self.trial_folder(trial_id) / "weights.safetensors", save_tensors(dict(weights)))

    def read_weights(self, trial_id: str) -> dict[str, Tensor]:
        return load_tensors((self.trial_folder(trial_id) / "weights.safetensors").read_bytes())

    def write_correct(self, trial_id: str, correct: Mapping[str, np.ndarray]) -> None:
        """Keep one bit for each test image (right or wrong), packed, by split; the record has their numbers."""
        buffer = BytesIO()
        np.savez(buffer, **{split: np.packbits(bits) for split, bits in correct.items()})
        write_whole(self.trial_folder(trial_id) / "correct.npz", buffer.getvalue())
