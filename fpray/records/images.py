"""What a finished trial said of each image: the class, how sure, and the loss. Every measure is derived from it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

UNREADABLE = np.iinfo(np.uint16).max
"""The class of an image that couldn't be decoded; its confidence and loss are not numbers."""
SEEN = UNREADABLE - 1
"""The class of a validation image that the method itself has learnt from; its confidence and loss are not numbers."""
LARGEST_LOSS = float(np.finfo(np.float16).max)


@dataclass(frozen=True)
class ImageResults:
    """A split's images in order, [images] each: about 5 bytes an image in a file.

    Where a split is evaluated among groups of classes (ImageNet-R's 200, ObjectNet's), these are the classes.
    """

    labels: NDArray[np.uint16]
    classes: NDArray[np.uint16]
    """The class with the highest probability; `UNREADABLE` for an image that is, `SEEN` for one that doesn't count."""
    confidences: NDArray[np.float16]
    """That class's probability."""
    losses: NDArray[np.float16]
    """The cross-entropy, at most the largest number of the type."""

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether each image was classified rightly; one that is unreadable, or doesn't count, wasn't."""
        return np.asarray(self.classes == self.labels)

    @property
    def counted(self) -> NDArray[np.bool_]:
        """Whether each image counts."""
        return np.asarray(self.classes != SEEN)

    def without(self, seen: NDArray[np.bool_]) -> ImageResults:
        """The results where some images don't count."""
        return replace(
            self,
            classes=np.where(seen, SEEN, self.classes).astype(np.uint16),
            confidences=np.where(seen, np.nan, self.confidences).astype(np.float16),
            losses=np.where(seen, np.nan, self.losses).astype(np.float16),
        )


def packed(splits: Mapping[str, ImageResults]) -> bytes:
    """A file's content, from the results of each split by its name."""
    columns = {f"{split}/{f.name}": getattr(own, f.name) for split, own in splits.items() for f in fields(own)}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **columns)
    return buffer.getvalue()


def unpacked(content: bytes) -> dict[str, ImageResults]:
    """The results of each split, from a file's content.

    Raises:
        ValueError: if it is damaged.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as columns:
            names = dict.fromkeys(key.rpartition("/")[0] for key in columns)
            return {
                split: ImageResults(**{f.name: columns[f"{split}/{f.name}"] for f in fields(ImageResults)})
                for split in names
            }
    except (KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(str(error)) from None


def unpacked_bits(content: bytes, sizes: Mapping[str, int]) -> dict[str, NDArray[np.bool_]]:
    """Whether each image was classified rightly, from the file of an earlier fpray, which kept one bit for each.

    Args:
        sizes: the number of each split's images.

    Raises:
        ValueError: if it is damaged.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as bits:
            return {split: np.unpackbits(bits[split], count=sizes[split]).astype(bool) for split in bits}
    except (KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(str(error)) from None
