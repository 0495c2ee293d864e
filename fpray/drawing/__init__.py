"""DrawNet's pictures: 28 classes in DomainNet's six styles, drawn from random numbers alone."""

from __future__ import annotations

from numpy.random import Generator
from PIL import Image

from fpray.drawing.colour import signature_hue
from fpray.drawing.pose import IMAGE
from fpray.drawing.shapes import CLASSES, FAMILIES, shape_of
from fpray.drawing.styles import STYLES

DRAWING_VERSION = 2
"""Goes up with every change that alters a picture, so that no stale cache is read."""

__all__ = ["CLASSES", "DRAWING_VERSION", "FAMILIES", "IMAGE", "STYLES", "draw"]


def draw(style: str, class_name: str, rng: Generator, signature: float = 0.0) -> Image.Image:
    """Draw one random picture, RGB, 32 x 32 pixels; the same state of `rng` gives the same picture.

    Args:
        style: One of `STYLES`.
        class_name: One of `CLASSES`.
        rng: Where shape, pose, colours and noise come from.
        signature: Probability that the object has its class's signature colour rather than a random one.
    """
    shape = shape_of(class_name, rng)
    signed, free = rng.random() < signature, rng.random()
    hue = signature_hue(class_name) + rng.normal(0, 0.01) if signed else free
    return STYLES[style](shape, rng, hue)
