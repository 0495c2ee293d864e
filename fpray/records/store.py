"""The folder of a sweep's records, and who may write to it."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from upath import UPath

from fpray.conditional import ChangedError, Version, read_versioned, write_if
from fpray.errors import UserError
from fpray.records.images import ImageResults, packed, unpacked, unpacked_bits
from fpray.records.record import Record, read_record
from fpray.records.trial import TRIAL_ID
from fpray.storage import Writer, files_below, is_local, read_whole, remove_folder, write_whole

if TYPE_CHECKING:
    from torch import Tensor


WEIGHTS, PRUNED = "weights.safetensors", "weights.pruned.json"
"""A finished trial's weights; and what lies in their place once they are pruned."""


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

    def record_file(self, trial_id: str) -> UPath:
        return self.trial_folder(trial_id) / "record.json"

    def with_checkpoints(self) -> set[str]:
        """The ids of the trials that have checkpoints."""
        return {file.partition("/")[0] for file in files_below(self.folder / "trials", "*/checkpoint/*")}

    def remove_checkpoints(self, trial_id: str) -> None:
        """Forget a trial's checkpoints."""
        remove_folder(self.checkpoint_folder(trial_id))

    def put(self, path: UPath, content: bytes | Writer) -> None:
        """Write one of a trial's files, whole or not at all."""
        write_whole(path, content)

    def write(self, record: Record) -> None:
        self.put(self.record_file(record.trial.id), _written(record))

    def read(self, trial_id: str) -> Record:
        """A trial's record.

        Raises:
            DamagedRecordError: if what is there is not the trial's record.
            UserError: if a newer fpray wrote it.
            OSError: if it can't be read.
        """
        return self._parsed(trial_id, read_whole(self.record_file(trial_id)))

    def _parsed(self, trial_id: str, content: bytes) -> Record:
        path = self.record_file(trial_id)
        try:
            record = read_record(json.loads(content), str(path))
        except (ValueError, RecursionError):
            raise DamagedRecordError(f"'{path}' is damaged") from None
        if record.trial.id != trial_id:
            raise DamagedRecordError(f"'{path}' is the record of another trial, {record.trial.id}")
        return record

    def read_all(self, on_damage: Callable[[DamagedRecordError], None] = lambda damage: None) -> list[Record]:
        """Every record there is, in the order of methods' names, numbers, draws, seeds and ids.

        Args:
            on_damage: called for each record that is damaged, which is left out.
        """
        ids = [file.partition("/")[0] for file in files_below(self.folder / "trials", "*/record.json")]
        records = []
        for trial_id in ids:
            if re.fullmatch(TRIAL_ID, trial_id):
                try:
                    records.append(self.read(trial_id))
                except DamagedRecordError as damage:
                    on_damage(damage)
        return sorted(records, key=lambda r: (r.trial.method, r.trial.number, r.trial.draw, r.trial.seed, r.trial.id))

    def claim(self, record: Record, still_held: Callable[[], object] = lambda: None) -> Record:
        """Begin the next attempt at a trial; from then on nothing that an earlier one says of it comes to stand.

        Args:
            still_held: called before the attempt begins; raises if another command may run the sweep.

        Returns:
            The record of the attempt that has begun; or the trial's, if a process that outlived its command has
            finished the trial since `record` was read.
        """
        trial_id = record.trial.id
        while True:
            known, version = self._now_versioned(record)
            if known.status == "finished":
                return known
            still_held()
            # A trial that has failed is to be tried again as `record` says; so is one whose record names no model.
            as_asked = known.has_ended or known.trial.model is None
            claimed = (record.of_attempt(known.attempt) if as_asked else known).begun(record.failures)
            if claimed.attempt == 1:
                self.remove_checkpoints(trial_id)  # of a trial whose record was lost
            try:
                write_if(self.record_file(trial_id), _written(claimed), version)
            except ChangedError:  # a process of the attempt before has written in between
                continue
            # Where the store doesn't look by itself, such a process may have been frozen between its last look at the
            # record and the rename of a file that lies beside. Without that file the rename fails; only if it came
            # before, the record is not ours.
            self.remove_parts(self.trial_folder(trial_id))
            if self.now(claimed).attempt == claimed.attempt:
                return claimed

    def now(self, record: Record) -> Record:
        """A trial's record as it is now; as it was where it is lost since."""
        try:
            return self.read(record.trial.id)
        except (FileNotFoundError, DamagedRecordError):
            return record

    def _now_versioned(self, record: Record) -> tuple[Record, Version]:
        """The record that `now` gives, and the version of its file."""
        version = read_versioned(self.record_file(record.trial.id))
        try:
            return self._parsed(record.trial.id, version.content or b""), version
        except DamagedRecordError:
            return record, version

    def remove_parts(self, folder: UPath) -> None:
        """Remove what processes that were killed, or are of the past, have written beside, see `write_whole`."""
        if is_local(folder):
            for part in Path(folder.path).rglob("*.part"):
                part.unlink(missing_ok=True)

    def write_weights(
        self, trial_id: str, weights: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
    ) -> None:
        """Keep what a trial left.

        Args:
            metadata: what the file says of itself, see `metadata_of`.
        """
        from safetensors.torch import save_file  # late: records are read without torch

        write = partial(save_file, dict(weights), metadata=dict(metadata or {}))
        self.put(self.trial_folder(trial_id) / WEIGHTS, write)

    def read_weights(self, trial_id: str) -> dict[str, Tensor]:
        """A finished trial's weights.

        Raises:
            UserError: if they are damaged or gone.
        """
        from safetensors.torch import load

        path = self.trial_folder(trial_id) / WEIGHTS
        try:
            return load(read_whole(path))
        except (SafetensorError, FileNotFoundError):
            if (path.parent / PRUNED).exists():
                raise UserError(
                    f"the weights of {trial_id} were removed (keep: front); `fpray export` trains it again, and "
                    "once the trial is deleted, the sweep's command does"
                ) from None
            raise UserError(
                f"'{path}' is damaged or gone; remove the folder of {trial_id}, and the sweep trains it again"
            ) from None

    def write_images(self, trial_id: str, splits: Mapping[str, ImageResults]) -> None:
        """Keep what a trial said of each image, by split; the record has the counts."""
        self.put(self.trial_folder(trial_id) / "images.npz", packed(splits))

    def read_images(self, trial_id: str) -> dict[str, ImageResults]:
        """What a finished trial said of each validation and test image, by split.

        Raises:
            FileNotFoundError: if that isn't kept, as of a trial of an earlier fpray.
            DamagedRecordError: if the file is damaged.
        """
        path = self.trial_folder(trial_id) / "images.npz"
        try:
            return unpacked(read_whole(path))
        except ValueError:
            raise DamagedRecordError(f"'{path}' is damaged") from None

    def read_correct(self, record: Record) -> dict[str, NDArray[Any]]:
        """Whether a finished trial classified each image rightly, by split; of an earlier fpray's, test images alone.
        Booleans; where some don't count, 1, 0 and not a number.

        Raises:
            FileNotFoundError: if that isn't kept.
            DamagedRecordError: if the file is damaged.
        """
        try:
            return {
                split: own.correct if own.counted.all() else np.where(own.counted, own.correct, np.float16(np.nan))
                for split, own in self.read_images(record.trial.id).items()
            }
        except FileNotFoundError:
            path = self.trial_folder(record.trial.id) / "correct.npz"
            try:
                return unpacked_bits(read_whole(path), {split: count.total for split, count in record.results.items()})
            except ValueError:
                raise DamagedRecordError(f"'{path}' is damaged") from None


class AttemptStore(RecordStore):
    """The records as one attempt at a trial may write them: as long as no later attempt has begun.

    A process can outlive the command that started it, and must not write into the sweep that has gone on without it.
    """

    def __init__(self, folder: UPath, begun: Record) -> None:
        super().__init__(folder)
        self._begun = begun

    def write(self, record: Record) -> None:
        """Write the trial's record; on object storage with conditional writes, however long this process was frozen.

        Raises:
            SupersededError: if a later attempt has begun.
        """
        self._change(lambda known: record)

    def put(self, path: UPath, content: bytes | Writer) -> None:
        """Write another of the trial's files after a look at its record, which decides.

        On object storage a process that is frozen between the look and the upload still writes when it wakes: a
        checkpoint, weights or `images.npz` of the same trial, which a later attempt makes the same. Having written a
        checkpoint it also removes those that are newer, which costs the later attempt epochs if it is interrupted.
        Its next word in the record is refused. In a local folder it can't: what lies beside was removed.

        Raises:
            SupersededError: if a later attempt has begun.
        """
        try:
            write_whole(path, content, lambda: self._refuse_if_later(self.attempt()))
        except FileNotFoundError:  # a later attempt has removed what lay beside
            raise SupersededError from None

    def attempt(self) -> Record:
        """The trial's record as it is now; of the attempt's begin where it was lost since."""
        return self.now(self._begun)

    def write_error(self, error: str) -> None:
        """Write down why the attempt fails, unless the trial has ended. The command decides whether it has failed."""
        self._change(lambda known: known if known.has_ended else known.with_error(error))

    def _change(self, change: Callable[[Record], Record]) -> None:
        """Write what a change makes of the record as it is now."""
        while True:
            known, version = self._now_versioned(self._begun)
            self._refuse_if_later(known)
            changed = change(known)
            if changed is known:
                return
            with contextlib.suppress(ChangedError):  # then it is changed anew as it is now
                write_if(self.record_file(known.trial.id), _written(changed), version)
                return

    def _refuse_if_later(self, known: Record) -> None:
        if known.attempt != self._begun.attempt:
            raise SupersededError


def _written(record: Record) -> bytes:
    return record.model_dump_json(indent=1).encode()
