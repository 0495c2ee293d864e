"""What becomes of the pixels of a training image: open_clip's random crop, and what a recipe adds to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated

from pydantic import Field, field_validator
from torch import nn
from torchvision.transforms import Compose, v2

from fpray.data import Crop
from fpray.model.transform import Transform
from fpray.section import Section

Share = Annotated[float, Field(gt=0, le=1)]


class RandAugment(Section):
    """RandAugment (arXiv 1909.13719), as torchvision has it."""

    ops: int = Field(2, ge=1)
    """How many operations, drawn anew for each image, change it one after another."""
    magnitude: int = Field(9, ge=0, le=30)
    """How strong each of them is, in torchvision's 31 steps."""


class PixelAugment(Section):
    """The augmentation of pixels. By default open_clip's own for training, which is WiSE-FT's too."""

    scale: tuple[Share, Share] = (0.9, 1.0)
    """The least and the largest share of an image's area that the random crop takes."""
    flip: float = Field(0.0, ge=0, le=1)
    """The probability that a crop is mirrored, left to right."""
    randaugment: RandAugment | None = None
    """RandAugment on each crop, for example `{ops: 2, magnitude: 9}`; null for none."""

    @field_validator("scale")
    @classmethod
    def _in_order(cls, scale: tuple[float, float]) -> tuple[float, float]:
        least, largest = scale
        if least > largest:
            raise ValueError(f"the least share, {least}, is above the largest, {largest}; swap them")
        return scale

    def steps(self) -> Iterator[nn.Module]:
        """What follows the random crop, from pixels to pixels, uint8 [3, height, width], by torch's random numbers."""
        if self.flip:
            yield v2.RandomHorizontalFlip(self.flip)
        if self.randaugment is not None:
            yield v2.RandAugment(self.randaugment.ops, self.randaugment.magnitude)


OPEN_CLIPS = PixelAugment()
"""open_clip's own augmentation for training."""


def augmented(transform: Transform, augment: PixelAugment) -> Transform:
    """open_clip's transform for training, whose crop has the right scale already, with what follows the crop.

    Crops by open_clip's own augmentation keep their name, and others have one of their own.
    """
    if augment == OPEN_CLIPS:
        return transform
    crop = transform.crop
    # open_clip's text alone rounds the scale.
    return replace(transform, crop=Crop(Compose([crop.steps, *augment.steps()]), f"{crop.text} {augment!r}"))
