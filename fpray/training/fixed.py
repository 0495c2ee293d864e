"""What a method computes of each image that training does not change: once, and kept for the trials that follow."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from fpray import __version__
from fpray.config import Train
from fpray.data import Batch, Draws
from fpray.kept import KeptRows, kept_rows
from fpray.methods import TrainedMethod
from fpray.model import computed_by
from fpray.training.runtime import Runtime


class Fixed:
    """Gives each batch what the method has fixed of its images, as `fixed`, and keeps it on this node's disk.

    What is kept is what this trial would compute itself, to the bit: with the same seed the same draws are in the same
    batches, and whatever else decides the last bits is part of the file's source.
    """

    def __init__(self, method: TrainedMethod[Any], draws: Draws, train: Train, runtime: Runtime) -> None:
        self._method, self._draws, self._train, self._runtime = method, draws, train, runtime
        self._kept: KeptRows | None = None
        self._asked = False
        """Whether the file was asked for: the first batch tells what a row of it is."""

    def added_to(self, batch: Batch) -> Batch:
        """A batch, or a part of one, on the device, with what is fixed of its images."""
        rows = batch["draws"].tolist()
        if (known := self._known(rows)) is not None:
            return {**batch, "fixed": known.to(self._runtime.device, non_blocking=True)}
        computed = self._method.fixed_of(batch).float()
        self._keep(rows, computed.cpu().numpy())
        return {**batch, "fixed": computed}

    def _known(self, rows: list[int]) -> Tensor | None:
        if self._kept is None:
            return None
        found = [self._kept.get(row) for row in rows]
        there = [row for row in found if row is not None]
        return torch.from_numpy(np.stack(there)) if len(there) == len(found) else None

    def _keep(self, rows: list[int], computed: np.ndarray[Any, Any]) -> None:
        if not self._asked:
            self._asked, self._kept = True, self._file(computed.shape[1:])
        if self._kept is not None:
            for row, values in zip(rows, computed, strict=True):
                self._kept.put(row, values)

    def _file(self, shape: tuple[int, ...]) -> KeptRows | None:
        train, reference = self._train, self._method.reference
        # A method of one's own may be another one tomorrow, under the same name.
        if not type(self._method).fixed.__module__.startswith("fpray.") or (drawn := self._draws.source()) is None:
            return None
        batches = (train.batch_size, train.accumulate, train.precision, self._runtime.world_size, train.compiles)
        by = computed_by(self._runtime.device)
        source = f"{drawn}\n{__version__} {self._method.name}\n{reference.digest}\n{batches} {by}"
        what = f"{self._method.name}'s fixed part of {self._draws.rows:,} draws"
        return kept_rows(what, source, self._draws.rows, shape, np.float32, reference.kept_bytes)


def fixed_for(method: TrainedMethod[Any], draws: Draws, train: Train, runtime: Runtime) -> Fixed | None:
    """What gives a method's batches what is fixed of them; None if nothing is, or nothing stays so: an image that mixup
    has made is in no other trial."""
    if type(method).fixed is TrainedMethod.fixed or train.augment.mixup:
        return None
    return Fixed(method, draws, train, runtime)
