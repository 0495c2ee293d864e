"""Augmentation of pixels: by default open_clip's own, and what a sweep file adds to it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import open_clip
import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2

from fpray.data.loading import Draws
from fpray.kept import kept_files
from fpray.model.augment import PixelAugment, RandAugment
from fpray.model.clip import load_clip
from fpray.model.reference import Reference, load_reference

WIDE = PixelAugment(scale=(0.2, 0.7))
RANDOM = PixelAugment(scale=(0.2, 0.7), flip=0.5, randaugment=RandAugment(ops=3, magnitude=14))


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FPRAY_CACHE", str(tmp_path / "cache"))


def with_augment(reference: Reference, augment: PixelAugment) -> Reference:
    """The reference with another augmentation of training images."""
    return dataclasses.replace(reference, loaded=load_clip(reference.loaded.name, None, reference.device, augment))


@pytest.fixture
def own(tiny_clip: str, reference: Reference) -> Reference:
    """The reference, from a folder that is still there."""
    return dataclasses.replace(reference, loaded=load_clip(tiny_clip, None, reference.device))


def crops(reference: Reference, epochs: int = 1, seed: int = 0) -> Tensor:
    """The crops of all draws of the training images."""
    draws = Draws(reference.augmented(reference.dataset.splits()[0]), seed, epochs)
    draws.items.keep(reference.kept_bytes, epochs, seed)
    return torch.stack([draws[epoch, index]["images"] for epoch in range(epochs) for index in range(len(draws.items))])


def test_by_default_crop_and_name_are_open_clips_own(tiny_clip: str, reference: Reference) -> None:
    """By the name kept crops are found, so an earlier fpray's are."""
    _, theirs, _ = open_clip.create_model_and_transforms(tiny_clip, load_weights=False)
    augment = load_clip(tiny_clip, None, reference.device).augment
    assert augment.crop.text == f"open_clip {open_clip.__version__} {theirs}"
    again = load_reference(tiny_clip, None, reference.dataset, reference.device, augment=PixelAugment())
    image = reference.dataset.images(reference.dataset.splits()[0]).pixels_of(3)
    step = v2.RandomResizedCrop(32, scale=(0.9, 1.0), interpolation=v2.InterpolationMode.BICUBIC)
    for seed in range(5):
        torch.manual_seed(seed)
        expected, after = step(image), torch.rand(1)
        torch.manual_seed(seed)
        assert torch.equal(again.loaded.augment.crop(image), expected)
        assert torch.equal(torch.rand(1), after), "more random numbers were drawn"


def test_a_crop_takes_the_share_that_it_is_told(own: Reference) -> None:
    image = own.dataset.images(own.dataset.splits()[0]).pixels_of(3)
    step = v2.RandomResizedCrop(32, scale=(0.2, 0.7), interpolation=v2.InterpolationMode.BICUBIC)
    crop = with_augment(own, WIDE).loaded.augment.crop
    torch.manual_seed(1)
    expected = step(image)
    torch.manual_seed(1)
    assert torch.equal(crop(image), expected)


def test_flipped_for_certain_a_crop_is_mirrored(own: Reference) -> None:
    plain = crops(own)
    assert torch.equal(crops(with_augment(own, PixelAugment(flip=1.0))), plain.flip(-1))
    half = crops(with_augment(own, PixelAugment(flip=0.5)))
    mirrored = [torch.equal(now, crop.flip(-1)) for now, crop in zip(half, plain, strict=True)]
    same = [torch.equal(now, crop) for now, crop in zip(half, plain, strict=True)]
    assert all(a != b for a, b in zip(mirrored, same, strict=True)) and 12 <= sum(mirrored) <= 36


def test_randaugment_is_torchvisions_on_the_crop(own: Reference) -> None:
    image = own.dataset.images(own.dataset.splits()[0]).pixels_of(3)
    augmented = with_augment(own, PixelAugment(randaugment=RandAugment(ops=2, magnitude=20))).loaded.augment
    operations = v2.RandAugment(num_ops=2, magnitude=20)
    for seed in range(20):
        torch.manual_seed(seed)
        expected = operations(own.loaded.augment.crop(image))
        torch.manual_seed(seed)
        now = augmented.crop(image)
        assert now.dtype == torch.uint8 and torch.equal(now, expected)


def test_seed_epoch_and_image_decide_every_draw(own: Reference) -> None:
    reference = with_augment(own, RANDOM)
    first = crops(reference, epochs=2)
    torch.rand(7)
    assert torch.equal(crops(reference, epochs=2), first)
    assert not torch.equal(first[:48], first[48:])
    assert not torch.equal(crops(reference, epochs=2, seed=1), first)
    alone = Draws(reference.augmented(reference.dataset.splits()[0]), 0, 2)[1, 17]["images"]
    assert torch.equal(alone, first[48 + 17])


def test_each_augmentation_keeps_its_own_crops(own: Reference) -> None:
    almost = PixelAugment(scale=(0.20000001, 0.7))  # torchvision's name of a crop has four digits
    for number, augment in enumerate((PixelAugment(), WIDE, almost, RANDOM, PixelAugment(flip=0.5)), start=1):
        reference = with_augment(own, augment)
        expected = crops(reference, epochs=2)
        keeping = dataclasses.replace(reference, kept_bytes=2**24)
        for _ in range(2):
            assert torch.equal(crops(keeping, epochs=2), expected)
        assert len(kept_files()) == number


def test_evaluation_is_not_augmented(own: Reference) -> None:
    image = own.dataset.images(own.dataset.splits()[0]).pixels_of(3)
    assert torch.equal(with_augment(own, RANDOM).loaded.preprocess.crop(image), own.loaded.preprocess.crop(image))
