"""Records: one folder for each trial, and the truth about it. Everything else is derived from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from fpray.pretrained import Model
from fpray.space import Params

TRIAL_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
"""What may be a trial's id: it names a folder, and none but one in the sweep's."""


class Recorded(BaseModel):
    # JSON has no NaN: pydantic would write null, which does not read back as a number.
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class Trial(Recorded):
    """One configuration to train with one seed. `number` counts from 0 within the method and model."""

    id: str = Field(pattern=TRIAL_ID)
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
    """How many times the trial was begun; a later attempt goes on where the one before was interrupted."""
    failures: int = 0
    """How many attempts in a row have failed without getting an epoch further."""
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

    def again(self) -> Record:
        """The record of a trial that failed, and is to go on as if it had been interrupted."""
        return self.model_copy(update={"status": "running", "failures": 0, "error": None, "ended": None})

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
