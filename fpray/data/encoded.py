"""Images as encoded files of many formats and modes, decoded to upright RGB when they are asked for."""

from __future__ import annotations

import os
import warnings
from abc import abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from fpray.data.base import LabelledImages, Size, UnreadableImageError
from fpray.errors import UserError, message_of

SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")
MOST_UNREADABLE = 0.01
"""The share of a split's images that may be unreadable before that is an error."""


class EncodedImages(LabelledImages):
    """Images that are decoded when they are asked for; `unreadable` marks those that could not be."""

    unreadable: Tensor

    def __init__(self, labels: Sequence[int]) -> None:
        self.labels = labels
        self.unreadable = torch.zeros(len(labels), dtype=torch.bool)
        self.unreadable.share_memory_()  # type: ignore[no-untyped-call]

    @abstractmethod
    def read(self, index: int) -> bytes:
        """The encoded image."""

    def decoded(self, index: int) -> Image.Image:
        """The image.

        Raises:
            Exception: of nearly any kind, if it can't be read or decoded.
        """
        return decode(self.read(index))

    def __getitem__(self, index: int) -> Image.Image:
        """The decoded image.

        Raises:
            UnreadableImageError: if it can't be decoded.
            UserError: if that is so for more than 1 % of the split.
        """
        try:
            return self._decoded_or_marked(index)
        except UnreadableImageError as error:
            if (sentence := self.too_many_unreadable(str(error))) is not None:
                raise UserError(sentence) from None
            raise

    def try_one(self, index: int) -> Size | str:
        try:
            return self._decoded_or_marked(index).size
        except UnreadableImageError as error:
            return str(error)

    def too_many_unreadable(self, example: str) -> str | None:
        found = self.unreadable.nonzero().flatten().tolist()
        if len(found) <= MOST_UNREADABLE * len(self):
            return None
        names = ", ".join(self.name_of(i) for i in found[:5]) + (", ..." if len(found) > 5 else "")
        return (
            f"data: at least {len(found)} of {len(self)} images can't be decoded, more than "
            f"{100 * MOST_UNREADABLE:g} %: {names} ({example}); mend or remove them"
        )

    def _decoded_or_marked(self, index: int) -> Image.Image:
        """The decoded image; one that can't be decoded is marked in `unreadable`, and raises."""
        try:
            # PIL warns of large images that it decodes; those above twice that size it refuses.
            with warnings.catch_warnings(category=Image.DecompressionBombWarning, action="ignore"):
                return self.decoded(index)
        except (UserError, MemoryError):
            raise
        except UnidentifiedImageError:
            why = "not an image"
        except Exception as error:  # PIL raises nearly every kind, depending on where a file is damaged
            why = message_of(error)
        self.unreadable[index] = True
        raise UnreadableImageError(f"{self.name_of(index)}: {why}")


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

    def sizes(self) -> Sequence[int]:
        return [size for size, _ in self._statuses()]

    def stamp(self) -> str:
        digest = blake2b(self._paths.tobytes())
        digest.update(repr(self._statuses()).encode())
        return digest.hexdigest()

    def _statuses(self) -> list[tuple[int, int]]:
        """The size of each file in bytes, and when it was written."""
        # On a network folder each question takes a while, and a million are to be asked.
        with ThreadPoolExecutor(32) as pool:
            parts = pool.map(self._some, (range(start, start + 1000) for start in range(0, len(self), 1000)))
            return [status for part in parts for status in part]

    def _some(self, indices: range) -> list[tuple[int, int]]:
        return [self._status(index) for index in indices if index < len(self)]

    def _status(self, index: int) -> tuple[int, int]:
        try:
            found = (self.root / self.name_of(index)).stat()
        except OSError:
            return -1, -1  # that it can't be read is told where it is decoded
        return found.st_size, found.st_mtime_ns


def decode(content: bytes) -> Image.Image:
    """An encoded image as upright RGB: turned as its EXIF data says, transparent parts on white, 16 bits scaled to 8.

    Raises:
        Exception: of nearly any kind, if it can't be decoded.
    """
    image: Image.Image = Image.open(BytesIO(content))
    image.load()
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I"):  # 16-bit grey: PIL's own conversion cuts off all above 255
        return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def readable(name: str) -> str:
    """A file's name in which bytes that are not UTF-8 are written out, like `\\xff`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
