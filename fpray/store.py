"""The folder of a sweep's records, and who may write to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor
from upath import UPath

from fpray.errors import UserError
from fpray.records import TRIAL_ID, Record
from fpray.storage import is_local, read_whole, write_whole


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
            The record of the attempt that has begun; or the trial's, if a process that outlived its command has
            finished the trial since `record` was read.
        """
        known = self.now(record)
        if known.status == "finished":
            return known
        if known.status == "running":  # else it has failed, and is to be tried again as `record` says
            record = known.model_copy(update={"failures": record.failures})
        claimed = record.model_copy(update={"attempt": record.attempt + 1})
        if claimed.attempt == 1:
            self.remove_checkpoints(record.trial.id)  # of a trial whose record was lost
        self.write(claimed)
        # A process of the attempt before may have been frozen between its last look at the record and the rename of
        # a file that lies beside. Without that file the rename fails; only if it came before, the record is not ours.
        self.remove_parts(self.trial_folder(record.trial.id))
        known = self.now(claimed)
        if known.attempt != claimed.attempt:
            if known.status == "finished":
                return known
            self.write(claimed)
        return claimed

    def now(self, record: Record) -> Record:
        """A trial's record as it is now; as it was where it is lost since."""
        try:
            return self.read(record.trial.id)
        except (FileNotFoundError, DamagedRecordError):
            return record

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
        return self.now(self._begun)

    def tell(self, error: str) -> None:
        """Write down why the attempt fails; whether the trial has failed is the command's to say."""
        self.write(self.attempt().model_copy(update={"error": error}))

    def _still_newest(self) -> None:
        if self.attempt().attempt != self._begun.attempt:
            raise SupersededError
