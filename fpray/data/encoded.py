"""Images kept as encoded files, of whatever format and mode, decoded to upright RGB when they are asked for."""

from __future__ import annotations

import os
import warnings
from abc import abstractmethod
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from fpray.data.base import LabelledImages
from fpray.errors import UserError

SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")
MOST_UNREADABLE = 0.01
"""The share of a split's images that may be unreadable before that is an error."""


class UnreadableImageError(Exception):
    """An image can't be read or decoded."""


class EncodedImages(LabelledImages):
    """Images that are decoded when they are asked for. Those that can't be are noted in `unreadable`."""

    def __init__(self, labels: Sequence[int]) -> None:
        self.labels = labels
        self.unreadable = torch.zeros(len(labels), dtype=torch.bool).share_memory_()

    @abstractmethod
    def read(self, index: int) -> bytes:
        """The encoded image."""

    def decoded(self, index: int) -> Image.Image:
        """The image; an error of nearly any kind if it can't be read or decoded."""
        return decode(self.read(index))

    def __getitem__(self, index: int) -> Image.Image:
        """The decoded image.

        Raises:
            UnreadableImageError: if it can't be decoded.
            UserError: if that is so for more than 1 % of the split.
        """
        try:
            with warnings.catch_warnings(category=Image.DecompressionBombWarning, action="ignore"):
                return self.decoded(index)  # PIL warns of sizes that it decodes, and refuses larger ones
        except (UserError, MemoryError):
            raise
        except Exception as error:  # PIL raises nearly every kind, depending on where a file is damaged
            self.unreadable[index] = True
            self._check_share(f"{self.name_of(index)}: {reason(error)}")
            raise UnreadableImageError(f"{self.name_of(index)}: {reason(error)}") from None

    def _check_share(self, example: str) -> None:
        found = self.unreadable.nonzero().flatten().tolist()
        if len(found) > MOST_UNREADABLE * len(self):
            names = ", ".join(self.name_of(i) for i in found[:5]) + (", ..." if len(found) > 5 else "")
            raise UserError(
                f"data: at least {len(found)} of {len(self)} images can't be decoded, more than "
                f"{100 * MOST_UNREADABLE:g} %: {names} ({example}); mend or remove them"
            )


class ImageFiles(EncodedImages):
    """Image files below a root, by their paths relative to it."""

    def __init__(self, root: Path, paths: Sequence[str], labels: Sequence[int]) -> None:
        # Arrays, not lists: a million objects' reference counts would be copied into every loader process.
        super().__init__(np.asarray(labels, dtype=np.int64))  # type: ignore[arg-type]
        self.root, self._paths = root, np.array([os.fsencode(path) for path in paths], dtype=np.bytes_)

    def name_of(self, index: int) -> str:
        return os.fsdecode(self._paths[index])

    def read(self, index: int) -> bytes:
        return (self.root / self.name_of(index)).read_bytes()


def decode(content: bytes) -> Image.Image:
    """An encoded image as upright RGB: turned as its EXIF data says, transparent parts on white, 16 bits scaled to 8.

    Raises:
        Exception: of nearly any kind, if it can't be decoded.
    """
    image = Image.open(BytesIO(content))
    image.load()
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16-bit grey: PIL's own conversion cuts off all above 255
        return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def readable(name: str) -> str:
    """A file's name with what is not UTF-8 in it written out, like `\\xff`; other names stay as they are."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def reason(error: BaseException) -> str:
    """Why an image can't be decoded, in a few words."""
    if isinstance(error, Image.UnidentifiedImageError):
        return "not an image"
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
