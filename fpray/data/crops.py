"""A split's images, cropped to a model's size: computed once where this node's disk has room to keep them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import PIL
import torch
import torchvision
from torch import Tensor

from fpray.data.base import LabelledImages
from fpray.kept import KeptRows, kept_rows

PIXELS = 2
"""The version of the pixels that a picture gives. In 1 Pillow cropped them; torch's crops differ by rounding, by at
most 2 of 255 levels."""
_STAMPS: WeakKeyDictionary[LabelledImages, str | None] = WeakKeyDictionary()
"""The stamps that this process has asked for: of a million files that takes a while."""
BLANK = torch.zeros(3, 64, 64, dtype=torch.uint8)
"""A black picture."""


@dataclass(frozen=True)
class Crop:
    """From a picture, uint8 [3, height, width], to one of a model's size, with torch's random numbers if any."""

    steps: Callable[[Tensor], Tensor]
    text: str
    """Changes with the steps and all that they do."""

    def __call__(self, pixels: Tensor) -> Tensor:
        return self.steps(pixels)


class Crops:
    """The crops of a split's images, uint8 [3, height, width]: in each epoch others, where they are random."""

    def __init__(self, images: LabelledImages, crop: Crop) -> None:
        self.images, self.crop = images, crop
        self._kept: KeptRows | None = None

    def keep(self, limit: int, epochs: int = 1, seed: int | None = None) -> None:
        """Keep the crops of so many epochs on this node's disk, and use those that are there, if there is room.

        Args:
            limit: the most bytes that all that is kept may take.
            seed: decides, with the epoch and the index, the random numbers at each call of `at`; None if there are
                none.
        """
        with torch.random.fork_rng(devices=[]):
            shape = tuple(self.crop(BLANK).shape)
        rows = epochs * len(self.images)
        if rows * math.prod(shape) > limit or (source := self.source(epochs, seed)) is None:
            return
        what = f"{len(self.images):,} images at {shape[2]} x {shape[1]}{_drawn(epochs, seed)}"
        self._kept = kept_rows(what, source, rows, shape, np.uint8, limit)

    def source(self, epochs: int = 1, seed: int | None = None) -> str | None:
        """A text that changes with all that decides the crops of so many epochs; None if there is none."""
        if self.images not in _STAMPS:
            _STAMPS[self.images] = self.images.stamp() if "stamp" in vars(type(self.images)) else None
        if (stamp := _STAMPS[self.images]) is None:
            return None
        versions = f"{PIXELS} {torch.__version__} {torchvision.__version__} {PIL.__version__}"
        return f"{versions}\n{self.crop.text}\n{stamp}\n{_drawn(epochs, seed)}"

    def at(self, epoch: int, index: int) -> Tensor:
        """The crop of an image in an epoch. It raises what `LabelledImages.pixels_of` raises."""
        row = epoch * len(self.images) + index
        if self._kept is not None and (kept := self._kept.get(row)) is not None:
            return torch.from_numpy(kept)
        cropped = self.crop(self.images.pixels_of(index))
        if self._kept is not None:
            self._kept.put(row, cropped.numpy())
        return cropped

    def prefetch(self, epoch: int, indices: Sequence[int]) -> None:
        """Get the images ready whose crops will be asked for next and are not kept."""
        start = epoch * len(self.images)
        self.images.prefetch([i for i in indices if self._kept is None or not self._kept.has(start + i)])


def _drawn(epochs: int, seed: int | None) -> str:
    return "" if seed is None else f", {epochs} epochs of seed {seed}"
