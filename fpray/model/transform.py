"""What becomes of a picture before the image tower sees it: open_clip's crop, then its mean and deviation.

Pixels stay uint8 until they are on the device: a quarter of the memory and of the copy, and one pass instead of three
for each image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import open_clip
import torch
from open_clip.transform import MaybeConvertMode, MaybeToTensor
from PIL import Image
from torch import Tensor
from torchvision.transforms import CenterCrop, Compose, Normalize, RandomResizedCrop, Resize, ToTensor, v2
from torchvision.transforms.functional import pil_to_tensor, to_pil_image

from fpray.data import Crop

CONVERSIONS = (MaybeConvertMode, MaybeToTensor, ToTensor)
"""Steps of open_clip's transforms that have nothing to do for uint8 tensors."""
FASTER: dict[type[Any], Callable[[Any], Any]] = {
    Resize: lambda step: v2.Resize(step.size, step.interpolation, step.max_size, step.antialias),
    CenterCrop: lambda step: v2.CenterCrop(step.size),
    RandomResizedCrop: lambda step: v2.RandomResizedCrop(
        step.size, step.scale, step.ratio, step.interpolation, step.antialias
    ),
}
"""The same steps on uint8 tensors, which torch resizes three times as fast as Pillow does, and differently by rounding.
The same random numbers give the same crops."""


@dataclass(frozen=True)
class Transform:
    """A transform of open_clip's, in its two halves."""

    crop: Crop
    """From a picture to one of the size that the image tower takes."""
    mean: Tensor
    """Of each channel, [3, 1, 1], in [0, 1]."""
    std: Tensor
    """The deviation of each channel, [3, 1, 1]."""

    def __call__(self, image: Image.Image) -> Tensor:
        """Both halves of it, for one RGB image: [3, height, width], normalised."""
        return self.normalised(self.crop(pil_to_tensor(image)))

    def normalised(self, pixels: Tensor) -> Tensor:
        """Cropped pixels, uint8 [..., 3, height, width], as the image tower takes them."""
        mean, std = (value.to(pixels.device, non_blocking=True) for value in (self.mean, self.std))
        return pixels.float().div_(255).sub_(mean).div_(std)


def by_pillow(step: Callable[[Image.Image], Image.Image]) -> Callable[[Tensor], Tensor]:
    """A step as open_clip does it, from pixels to pixels."""
    return lambda pixels: pil_to_tensor(step(to_pil_image(pixels)))


def transform_of(composed: Compose) -> Transform:
    """A transform of open_clip's, which ends by making a tensor and normalising it, in its two halves."""
    *steps, normalise = composed.transforms
    if not isinstance(normalise, Normalize):
        raise TypeError(f"{composed} does not end with the mean and deviation of the pixels")
    crops = [FASTER.get(type(step), by_pillow)(step) for step in steps if not isinstance(step, CONVERSIONS)]
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (normalise.mean, normalise.std))
    return Transform(Crop(Compose(crops), f"open_clip {open_clip.__version__} {composed}"), mean, std)
