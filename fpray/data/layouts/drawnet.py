"""DrawNet, a DomainNet in miniature that fpray draws itself, so that a sweep needs no download.

It has 28 classes in 7 families of look-alikes, at 32 pixels, in DomainNet's six styles (Peng et al. 2019,
arXiv:1812.01754). `real` is in-distribution and the only style with training images. It has a shortcut that
holds in distribution only: 60 % of a class's images have the class's signature colour.
"""

from __future__ import annotations

import contextlib
import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field, model_validator
from torch import Tensor
from upath import UPath

from fpray.data import base
from fpray.data.base import Split
from fpray.drawnet import (
    CLASSES,
    DRAWING_VERSION,
    STYLES,
    Pairs,
    PairsRecipe,
    balanced_labels,
    draw_images,
    draw_pairs,
)
from fpray.storage import StorageError, cache_folder, write_whole

ID_STYLE = "real"
OOD_STYLES = tuple(style for style in STYLES if style != ID_STYLE)
SIGNATURE_SHARE = 0.6
"""The share of the in-distribution images whose object has its class's signature colour."""

DRAWNET_TEMPLATES = (
    "a {}.",
    "a picture of a {}.",
    "a photo of a {}.",
    "clip art of a {}.",
    "a doodle of a {}.",
    "a sketch of a {}.",
)
"""Prompts for the styles that the small CLIPs were pre-trained on; the words of the others are unknown to them."""


class DrawnImages(base.LabelledImages):
    """The images of one split: `pixels` is uint8, [images, 32, 32, 3]."""

    stage = 2  # from which on the models have seen four styles alone, and the prompts name those

    def __init__(self, pixels: NDArray[np.uint8], labels: Sequence[int], captions: Sequence[str] | None = None) -> None:
        self.pixels, self.labels, self.captions = pixels, labels, captions

    def __getitem__(self, index: int) -> Image.Image:
        return Image.fromarray(self.pixels[index])

    def stamp(self) -> str:
        return hashlib.blake2b(self.pixels.tobytes()).hexdigest()

    def pixels_of(self, index: int) -> Tensor:
        return torch.from_numpy(self.pixels[index]).permute(2, 0, 1)


class DrawNetOptions(base.DataOptions):
    """The numbers of DrawNet's pictures, which each draw's seed decides."""

    train_images: int = Field(1000, ge=1)
    """The number of training images."""
    val_images: int = Field(400, ge=1)
    """The number of ID validation images."""
    test_images: int = Field(800, ge=1)
    """The number of ID test images."""
    ood_val_images: int = Field(150, ge=1)
    """The number of validation images of each OOD domain."""
    ood_test_images: int = Field(400, ge=1)
    """The number of test images of each OOD domain."""

    @model_validator(mode="before")
    @classmethod
    def _seed_of_before(cls, written: Any) -> Any:
        """`seed`, as an earlier fpray wrote it, for `seeds`."""
        if isinstance(written, Mapping) and "seed" in written and "seeds" not in written:
            return {key: value for key, value in written.items() if key != "seed"} | {"seeds": written["seed"]}
        return written


class DrawNet(base.Dataset):
    """DrawNet, from the cache or drawn and cached (about 3 seconds, 15 MB)."""

    name = "drawnet"
    Options = DrawNetOptions
    options: DrawNetOptions

    def __init__(self, options: DrawNetOptions) -> None:
        super().__init__(options)
        self._sizes = {
            Split("id", ID_STYLE, "train"): options.train_images,
            Split("id", ID_STYLE, "val"): options.val_images,
            Split("id", ID_STYLE, "test"): options.test_images,
        }
        for style in OOD_STYLES:
            self._sizes[Split("ood", style, "val")] = options.ood_val_images
            self._sizes[Split("ood", style, "test")] = options.ood_test_images
        self.cache_file = _cache_file(f"{options.seed} {list(self._sizes.values())}")
        self._drawn: dict[Split, DrawnImages] | None = None

    @property
    def classes(self) -> Sequence[str]:
        return CLASSES

    @property
    def templates(self) -> Sequence[str]:
        return DRAWNET_TEMPLATES

    def splits(self) -> Sequence[Split]:
        return tuple(self._sizes)

    def images(self, split: Split) -> DrawnImages:
        if self._drawn is None:
            drawn = _load(self.cache_file, self._sizes)
            if drawn is None:
                drawn = {wanted: self.draw(wanted) for wanted in self._sizes}
                _save(self.cache_file, drawn)
            self._drawn = drawn
        return self._drawn[split]

    def pretraining(self) -> DrawnImages:
        """The pairs of the shipped models, of their four styles: from the cache, or drawn (6 seconds, 25 MB)."""
        file = _cache_file(f"pretraining {PairsRecipe()}")
        pairs = _load_pairs(file)
        if pairs is None:
            pairs = draw_pairs(PairsRecipe())
            _write(file, vars(pairs))
        captions = [pairs.captions[number] for number in pairs.caption_of]
        return DrawnImages(pairs.pixels, [0] * len(captions), captions)

    def draw(self, split: Split) -> DrawnImages:
        """Draw a split without the cache. Each split has a random number generator of its own."""
        rng = np.random.default_rng([self.options.seed, crc32(split.name.encode())])
        labels = balanced_labels(self._sizes[split], rng)
        signature = SIGNATURE_SHARE if split.role == "id" else 0.0
        return DrawnImages(draw_images(split.domain, labels, rng, signature), labels)


def _cache_file(key: str) -> Path:
    return cache_folder() / f"drawnet-{hashlib.sha256(f'{DRAWING_VERSION} {key}'.encode()).hexdigest()[:16]}.npz"


def _save(file: Path, drawn: dict[Split, DrawnImages]) -> None:
    """Write the images of all splits, one split after another."""
    pixels = np.concatenate([images.pixels for images in drawn.values()])
    _write(file, {"pixels": pixels, "labels": np.concatenate([np.array(images.labels) for images in drawn.values()])})


def _write(file: Path, arrays: Mapping[str, Any]) -> None:
    """Write a file of the cache. Several processes may do so at once."""
    stream = BytesIO()
    np.savez(stream, **arrays)
    with contextlib.suppress(StorageError):  # then it is drawn again the next time
        write_whole(UPath(file), stream.getvalue())


def _load(file: Path, sizes: dict[Split, int]) -> dict[Split, DrawnImages] | None:
    """The cached images, or None if there are none or the file is damaged."""
    if (cached := _read(file, "pixels", "labels")) is None:
        return None
    pixels, labels = cached
    if len(pixels) != len(labels) or len(labels) != sum(sizes.values()):
        return None
    ends = np.cumsum(list(sizes.values()))
    return {
        split: DrawnImages(pixels[end - size : end], labels[end - size : end].tolist())
        for (split, size), end in zip(sizes.items(), ends.tolist(), strict=True)
    }


def _load_pairs(file: Path) -> Pairs | None:
    """The cached pairs, or None if there are none or the file is damaged."""
    if (cached := _read(file, "pixels", "caption_of", "captions")) is None:
        return None
    pixels, caption_of, captions = cached
    whole = len(pixels) == len(caption_of) and caption_of.max(initial=-1) < len(captions)
    return Pairs(pixels, caption_of, captions.tolist()) if whole else None


def _read(file: Path, *names: str) -> list[NDArray[Any]] | None:
    try:
        with np.load(file, allow_pickle=False) as cached:
            return [cached[name] for name in names]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
