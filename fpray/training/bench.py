"""The bench: the half of the ID validation images that a method may learn from when its training has ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from fpray.data import Batch
from fpray.model import Classifier, Reference
from fpray.training.runtime import Runtime


def seen_half(images: int) -> NDArray[np.bool_]:
    """Which of so many validation images are on the bench: one half of them, drawn at random once and for all."""
    order = torch.randperm(images, generator=torch.Generator().manual_seed(0))
    seen = np.zeros(images, dtype=bool)
    seen[order[: images // 2].numpy()] = True
    return seen


class ValidationBench:
    """See `fpray.methods.Bench`."""

    def __init__(self, reference: Reference, runtime: Runtime, autocast: torch.dtype | None, room: int) -> None:
        self._reference, self._runtime, self._autocast, self.room = reference, runtime, autocast, room
        self.split = next(s for s in reference.dataset.splits() if s.role == "id" and s.part == "val")
        self.seen = seen_half(len(reference.dataset.images(self.split)))
        self._indices = self.seen.nonzero()[0].tolist()

    @torch.no_grad()
    def accuracy(self, classifier: Classifier) -> float:
        share = self._runtime.share_of(len(self._indices))
        right = torch.zeros((), device=self._runtime.device)
        with torch.autocast(self._runtime.device.type, self._autocast, enabled=self._autocast is not None):
            for batch in self._in_order([self._indices[place] for place in share]):
                right += (classifier(batch["images"]).argmax(dim=-1) == batch["labels"]).sum()
        return float(self._runtime.mean(right)) * self._runtime.world_size / len(self._indices)

    def batches(self, number: int, batch_size: int) -> Iterator[Batch]:
        generator, drawn = torch.Generator().manual_seed(0), list[int]()
        while len(drawn) < number * batch_size:
            drawn += [self._indices[place] for place in torch.randperm(len(self._indices), generator=generator)]
        return self._in_order(drawn[: number * batch_size], batch_size)

    def _in_order(self, indices: Sequence[int], batch_size: int | None = None) -> Iterator[Batch]:
        for batch in self._reference.in_order({self.split: indices}, batch_size):
            self._runtime.beat()
            yield self._reference.on_device(batch)
