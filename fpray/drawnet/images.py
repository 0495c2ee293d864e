"""Many pictures at once: of every class equally often, as one array."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fpray.drawnet.picture import draw
from fpray.drawnet.pose import IMAGE
from fpray.drawnet.shapes import CLASSES


def balanced_labels(count: int, rng: np.random.Generator) -> list[int]:
    """`count` labels in random order, every class equally often (give or take one)."""
    firsts = rng.permutation(len(CLASSES))
    labels: list[int] = rng.permutation(np.resize(firsts, count)).tolist()
    return labels


def draw_images(style: str, labels: Sequence[int], rng: np.random.Generator, signature: float) -> NDArray[np.uint8]:
    """Draw one image of each label, uint8, [images, 32, 32, 3]; `signature` as for `draw`."""
    pixels = np.empty((len(labels), IMAGE, IMAGE, 3), np.uint8)
    for row, label in zip(pixels, labels, strict=True):
        row[:] = np.asarray(draw(style, CLASSES[label], rng, signature))
    return pixels
