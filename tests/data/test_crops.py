"""Crops: the same with and without what is kept, for evaluation and for draws; computed once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch import Tensor

from fpray.data.crops import Crop, Crops
from fpray.data.encoded import ImageFiles
from fpray.data.loading import Draws, EpochBatches, Transformed, in_order, loader
from fpray.kept import kept_files

CPU, LIMIT = torch.device("cpu"), 2**24


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FPRAY_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """120 images, of which 5 is none."""
    rng = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    for number in range(120):
        Image.fromarray(rng.integers(0, 256, (20, 24, 3), np.uint8)).save(tmp_path / "images" / f"{number}.png")
    (tmp_path / "images" / "5.png").write_text("not an image")
    return tmp_path / "images"


class Counted(ImageFiles):
    """Says how often an image was read."""

    read_so_far = 0

    def read(self, index: int) -> bytes:
        self.read_so_far += 1
        return super().read(index)

    def stamp(self) -> str | None:
        return super().stamp()


def images_in(folder: Path, count: int = 120) -> Counted:
    return Counted(folder, [f"{number}.png" for number in range(count)], [number % 7 for number in range(count)])


def shifted(pixels: Tensor) -> Tensor:
    """A crop at a random place."""
    left, top = torch.randint(0, 5, (2,)).tolist()
    return pixels[:, top : top + 16, left : left + 16] + torch.randint(0, 3, (1,), dtype=torch.uint8)


MIDDLE, SHIFTED = Crop(lambda pixels: pixels[:, 2:18, 4:20], "middle"), Crop(shifted, "shifted")


def evaluated(images: ImageFiles, kept_bytes: int = LIMIT, workers: int = 0) -> Tensor:
    batches = in_order([(images, range(len(images)))], MIDDLE, workers, CPU, batch_size=50, kept_bytes=kept_bytes)
    return torch.cat([batch["images"] for batch in batches])


def drawn(images: ImageFiles, kept_bytes: int = LIMIT, workers: int = 0, seed: int = 3) -> Tensor:
    items = Transformed(images, SHIFTED)
    items.keep(kept_bytes, epochs=2, seed=seed)
    batches = EpochBatches(len(images), 40, seed, 0, 1, range(2))
    return torch.cat([b["images"] for b in loader(Draws(items, seed), workers, CPU, batch_sampler=batches)])


@pytest.mark.parametrize("workers", [0, 2])
def test_evaluation_is_the_same_with_and_without(workers: int, folder: Path) -> None:
    plain = evaluated(images_in(folder), kept_bytes=0)
    assert len(kept_files()) == 0
    assert torch.equal(evaluated(images_in(folder), workers=workers), plain)
    again = images_in(folder)
    assert torch.equal(evaluated(again), plain)
    assert again.read_so_far == 1, "the unreadable one alone is tried again"
    assert again.unreadable.nonzero().flatten().tolist() == [5]


@pytest.mark.parametrize("workers", [0, 2])
def test_draws_are_the_same_with_and_without(workers: int, folder: Path) -> None:
    plain = drawn(images_in(folder), kept_bytes=0)
    assert not torch.equal(plain[:120], plain[120:])
    assert torch.equal(drawn(images_in(folder), workers=workers), plain)
    again = images_in(folder)
    assert torch.equal(drawn(again), plain)
    assert again.read_so_far == 2, "the unreadable one alone is tried again, in each epoch"
    assert not torch.equal(drawn(images_in(folder), seed=4), plain)


def test_changed_images_are_cropped_anew(folder: Path) -> None:
    before = evaluated(images_in(folder))
    (folder / "7.png").write_bytes((folder / "8.png").read_bytes())
    after = evaluated(images_in(folder))
    assert torch.equal(after[7], before[8]) and not torch.equal(after[7], before[7])
    assert torch.equal(after[8:], before[8:])


def test_another_crop_is_another_one(folder: Path) -> None:
    evaluated(images_in(folder))
    images = images_in(folder)
    crops = Crops(images, Crop(lambda pixels: pixels[:, :16, :16], "corner"))
    crops.keep(LIMIT)
    assert torch.equal(crops.at(0, 3), images.pixels_of(3)[:, :16, :16])


def test_what_is_larger_than_the_limit_is_not_kept(folder: Path) -> None:
    evaluated(images_in(folder), kept_bytes=120 * 3 * 16 * 16 - 1)
    assert kept_files() == []


class Own(ImageFiles):
    """As in a plug-in: what it does with an image may be something else after an edit, and its files the same."""

    def decoded(self, index: int) -> Image.Image:
        return ImageOps.invert(super().decoded(index))


def test_images_of_a_class_of_ones_own_are_not_kept(folder: Path) -> None:
    names = [f"{number}.png" for number in range(120)]
    evaluated(Own(folder, names, [0] * 120))
    assert kept_files() == []


def test_items_of_a_class_of_ones_own_say_no_source(folder: Path) -> None:
    class Noisy(Transformed):
        pass

    assert Transformed(images_in(folder), SHIFTED).source(2, seed=0) is not None
    assert Noisy(images_in(folder), SHIFTED).source(2, seed=0) is None
