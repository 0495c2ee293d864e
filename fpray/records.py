"""Records: one folder for each trial, and the truth about it. Everything else is derived from them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor
from upath import UPath

from fpray.errors import UserError
from fpray.pretrained import Model
from fpray.space import Params
from fpray.storage import is_local, read_whole, write_whole

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


class DamagedRecordError(ValueError):
    """A record's file doesn't hold a record."""


class SupersededError(Exception):
    """A later attempt at the same trial has begun, so this one may write nothing more."""


class RecordStore:
    """The folder of a sweep's records."""

    def __init__(self, folder: UPath) -> None:
        self.folder = folder

    def trial_folder(self, trial_id: str) -> UPath:
        """A trial's folder.

        Raises:
            ValueError: if the id could name a folder elsewhere.
        """
        if not re.fullmatch(TRIAL_ID, trial_id):
            raise ValueError(f"'{trial_id}' is no trial's id")
        return self.folder / "trials" / trial_id

    def checkpoint_folder(self, trial_id: str) -> UPath:
        return self.trial_folder(trial_id) / "checkpoint"

    def remove_checkpoints(self, trial_id: str) -> None:
        """Forget a trial's checkpoints."""
        folder = self.checkpoint_folder(trial_id)
        if folder.exists():
            folder.fs.rm(folder.path, recursive=True)

    def put(self, path: UPath, content: bytes) -> None:
        """Write one of a trial's files, whole or not at all."""
        write_whole(path, content)

    def write(self, record: Record) -> None:
        path = self.trial_folder(record.trial.id) / "record.json"
        self.put(path, record.model_dump_json(indent=1).encode())

    def read(self, trial_id: str) -> Record:
        """A trial's record.

        Raises:
            DamagedRecordError: if what is there is not the trial's record.
            OSError: if it can't be read.
        """
        path = self.trial_folder(trial_id) / "record.json"
        try:
            record = Record.model_validate_json(read_whole(path))
        except ValidationError:
            raise DamagedRecordError(f"'{path}' is damaged") from None
        if record.trial.id != trial_id:
            raise DamagedRecordError(f"'{path}' is the record of another trial, {record.trial.id}")
        return record

    def read_all(self, told: Callable[[DamagedRecordError], None] = lambda damage: None) -> list[Record]:
        """Every record there is, in the order of methods' names, numbers, seeds and ids.

        Args:
            told: called for each record that is damaged, which is left out.
        """
        trials = self.folder / "trials"
        ids = [path.name for path in trials.iterdir()] if trials.exists() else []
        records = []
        for trial_id in ids:
            if re.fullmatch(TRIAL_ID, trial_id) and (self.trial_folder(trial_id) / "record.json").exists():
                try:
                    records.append(self.read(trial_id))
                except DamagedRecordError as damage:
                    told(damage)
        return sorted(records, key=lambda r: (r.trial.method, r.trial.number, r.trial.seed, r.trial.id))

    def claim(self, record: Record) -> Record:
        """Begin the next attempt at a trial; from then on nothing that an earlier one writes comes to stand.

        Returns:
            The record of the attempt that has begun.
        """
        claimed = record.model_copy(update={"attempt": record.attempt + 1})
        if claimed.attempt == 1:
            self.remove_checkpoints(record.trial.id)  # of a trial whose record was lost
        self.write(claimed)
        # A process of the attempt before may have been frozen between its last look at the record and the rename of
        # a file that lies beside. Without that file the rename fails; only if it came before, the record is not ours.
        self.remove_parts(self.trial_folder(record.trial.id))
        if self.read(record.trial.id).attempt != claimed.attempt:
            self.write(claimed)
        return claimed

    def remove_parts(self, folder: UPath) -> None:
        """Remove what processes that were killed, or are of the past, have written beside, see `write_whole`."""
        if is_local(folder):
            for part in Path(folder.path).rglob("*.part"):
                part.unlink(missing_ok=True)

    def write_weights(self, trial_id: str, weights: Mapping[str, Tensor]) -> None:
        self.put(self.trial_folder(trial_id) / "weights.safetensors", save_tensors(dict(weights)))

    def read_weights(self, trial_id: str) -> dict[str, Tensor]:
        """A finished trial's weights.

        Raises:
            UserError: if they are damaged or gone.
        """
        path = self.trial_folder(trial_id) / "weights.safetensors"
        try:
            return load_tensors(read_whole(path))
        except (SafetensorError, FileNotFoundError):
            raise UserError(
                f"'{path}' is damaged or gone; remove the folder of {trial_id}, and the sweep trains it again"
            ) from None

    def write_correct(self, trial_id: str, correct: Mapping[str, np.ndarray]) -> None:
        """Keep one bit for each test image (right or wrong), packed, by split; the record has their numbers."""
        buffer = BytesIO()
        np.savez(buffer, **{split: np.packbits(bits) for split, bits in correct.items()})
        self.put(self.trial_folder(trial_id) / "correct.npz", buffer.getvalue())


class AttemptStore(RecordStore):
    """The records as one attempt at a trial may write them: as long as no later attempt has begun.

    A process can outlive the command that started it, and must not write into the sweep that has gone on without it.
    """

    def __init__(self, folder: UPath, begun: Record) -> None:
        super().__init__(folder)
        self._begun = begun

    def put(self, path: UPath, content: bytes) -> None:
        """Write one of the trial's files.

        Raises:
            SupersededError: if a later attempt has begun.
        """
        try:
            write_whole(path, content, self._still_newest)
        except FileNotFoundError:  # a later attempt has removed what lay beside
            raise SupersededError from None

    def attempt(self) -> Record:
        """The trial's record as it is now; of the attempt's begin where it was lost since."""
        try:
            return self.read(self._begun.trial.id)
        except (FileNotFoundError, DamagedRecordError):
            return self._begun

    def _still_newest(self) -> None:
        if self.attempt().attempt != self._begun.attempt:
            raise SupersededError
