"""DrawNet, a DomainNet in miniature that fpray draws itself, so that a sweep needs no download.

It has 28 classes in 7 families of look-alikes, at 32 pixels, in DomainNet's six styles (Peng et al. 2019,
arXiv:1812.01754). `real` is in-distribution and the only style with training images. It has a shortcut that
holds in distribution only: 60 % of a class's images have the class's signature colour.
"""

from __future__ import annotations

import contextlib
import hashlib
import zipfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field
from torch import Tensor
from upath import UPath

from fpray.data import base
from fpray.data.base import Split
from fpray.drawnet import CLASSES, DRAWING_VERSION, STYLES, balanced_labels, draw_images
from fpray.storage import StorageError, cache_folder, write_whole

ID_STYLE = "real"
OOD_STYLES = tuple(style for style in STYLES if style != ID_STYLE)
SIGNATURE_SHARE = 0.6
"""The share of the in-distribution images whose object has its class's signature colour."""

_ID_VAL, _ID_TEST = 400, 800
_OOD_VAL, _OOD_TEST = 150, 400

DRAWNET_TEMPLATES = (
    "a {}.",
    "a picture of a {}.",
    "a photo of a {}.",
    "clip art of a {}.",
    "an infograph with a {}.",
    "a painting of a {}.",
    "a doodle of a {}.",
    "a sketch of a {}.",
)
"""Prompts for the six styles."""


class DrawnImages(base.LabelledImages):
    """The images of one split: `pixels` is uint8, [images, 32, 32, 3]."""

    def __init__(self, pixels: NDArray[np.uint8], labels: Sequence[int]) -> None:
        self.pixels, self.labels = pixels, labels

    def __getitem__(self, index: int) -> Image.Image:
        return Image.fromarray(self.pixels[index])

    def stamp(self) -> str:
        return hashlib.blake2b(self.pixels.tobytes()).hexdigest()

    def pixels_of(self, index: int) -> Tensor:
        return torch.from_numpy(self.pixels[index]).permute(2, 0, 1)


class DrawNetOptions(base.DataOptions):
    """The seed of DrawNet's pictures, and the number of training images."""

    seed: int = Field(0, ge=0)
    """The seed that the pictures are drawn from."""
    train_images: int = Field(1000, ge=1)
    """The number of training images."""


class DrawNet(base.Dataset):
    """DrawNet, from the cache or drawn and cached (about 3 seconds, 15 MB)."""

    name = "drawnet"
    Options = DrawNetOptions
    options: DrawNetOptions

    def __init__(self, options: DrawNetOptions) -> None:
        super().__init__(options)
        self._seed = options.seed
        self._sizes = {Split("id", ID_STYLE, "train"): options.train_images}
        self._sizes |= {Split("id", ID_STYLE, "val"): _ID_VAL, Split("id", ID_STYLE, "test"): _ID_TEST}
        for style in OOD_STYLES:
            self._sizes |= {Split("ood", style, "val"): _OOD_VAL, Split("ood", style, "test"): _OOD_TEST}
        key = f"{DRAWING_VERSION} {options.seed} {options.train_images}"
        self.cache_file = cache_folder() / f"drawnet-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"
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

    def draw(self, split: Split) -> DrawnImages:
        """Draw a split without the cache. Each split has a random number generator of its own."""
        rng = np.random.default_rng([self._seed, crc32(split.name.encode())])
        labels = balanced_labels(self._sizes[split], rng)
        signature = SIGNATURE_SHARE if split.role == "id" else 0.0
        return DrawnImages(draw_images(split.domain, labels, rng, signature), labels)


def _save(file: Path, drawn: dict[Split, DrawnImages]) -> None:
    """Write the images of all splits, one split after another. Several processes may do so at once."""
    stream = BytesIO()
    np.savez(
        stream,
        pixels=np.concatenate([images.pixels for images in drawn.values()]),
        labels=np.concatenate([np.array(images.labels) for images in drawn.values()]),
    )
    with contextlib.suppress(StorageError):  # then it is drawn again the next time
        write_whole(UPath(file), stream.getvalue())


def _load(file: Path, sizes: dict[Split, int]) -> dict[Split, DrawnImages] | None:
    """The cached images, or None if there are none or the file is damaged."""
    try:
        with np.load(file, allow_pickle=False) as cached:
            pixels, labels = cached["pixels"], cached["labels"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    if len(pixels) != len(labels) or len(labels) != sum(sizes.values()):
        return None
    ends = np.cumsum(list(sizes.values()))
    return {
        split: DrawnImages(pixels[end - size : end], labels[end - size : end].tolist())
        for (split, size), end in zip(sizes.items(), ends.tolist(), strict=True)
    }
