"""The transform: open_clip's own, but for rounding, and with the same random numbers the same crops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from open_clip.transform import image_transform
from PIL import Image
from torch import Tensor
from torchvision.transforms import Compose
from torchvision.transforms.functional import pil_to_tensor

from fpray.model.transform import transform_of

RNG = np.random.default_rng(0)
MEAN, STD = (0.48, 0.45, 0.40), (0.26, 0.27, 0.28)


def picture(height: int, width: int) -> Image.Image:
    """As pictures are: smooth, with edges and a little noise."""
    coarse = Image.fromarray(RNG.integers(0, 256, (7, 9, 3), np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    noisy = np.asarray(coarse).astype(int) + RNG.integers(-9, 10, (height, width, 3))
    noisy[height // 3 :, width // 2] = 255
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def with_pillow(composed: Compose, image: Image.Image) -> Tensor:
    """The pixels just before open_clip makes a tensor of them."""
    for step in composed.transforms[:-2]:
        image = step(image)
    return pil_to_tensor(image)


@pytest.mark.parametrize(
    "options",
    [
        {"image_size": 224, "is_train": True},
        {"image_size": 224, "is_train": False},
        {"image_size": (224, 160), "is_train": False},
        {"image_size": 224, "is_train": False, "interpolation": "bilinear"},
        {"image_size": 224, "is_train": False, "resize_mode": "squash"},
        {"image_size": 224, "is_train": False, "resize_mode": "longest"},
    ],
    ids=str,
)
@pytest.mark.parametrize("size", [(375, 500), (640, 200), (224, 224), (60, 90)])
def test_the_crop_is_open_clips_but_for_rounding(options: dict[str, Any], size: tuple[int, int]) -> None:
    composed, image = image_transform(mean=MEAN, std=STD, **options), picture(*size)
    ours = transform_of(composed)
    torch.manual_seed(3)
    expected = with_pillow(composed, image)
    torch.manual_seed(3)
    cropped = ours.crop(pil_to_tensor(image))
    assert cropped.dtype == torch.uint8 and cropped.shape == expected.shape
    different = (cropped.int() - expected.int()).abs()
    assert different.max() <= 2
    assert different.float().mean() < 0.25


def test_what_needs_no_resizing_is_the_same_to_the_bit() -> None:
    composed, image = image_transform(64, is_train=False, mean=MEAN, std=STD), picture(64, 80)
    assert torch.equal(transform_of(composed)(image), composed(image))


def test_a_batch_is_normalised_as_each_image_is() -> None:
    composed = image_transform(48, is_train=False, mean=MEAN, std=STD)
    images = [picture(48, 48) for _ in range(5)]
    batch = transform_of(composed).normalised(torch.stack([pil_to_tensor(image) for image in images]))
    assert torch.equal(batch, torch.stack([composed(image) for image in images]))
