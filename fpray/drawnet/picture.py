"""One picture: a class in a style, drawn from random numbers alone."""

from __future__ import annotations

from numpy.random import Generator
from PIL import Image

from fpray.drawnet.colour import signature_hue
from fpray.drawnet.shapes import shape_of
from fpray.drawnet.styles import STYLES

DRAWING_VERSION = 2
"""The version of the drawings, raised with every change that alters a picture, so that no old cache is read."""


def draw(style: str, class_name: str, rng: Generator, signature: float = 0.0) -> Image.Image:
    """Draw one random picture, RGB, 32 x 32 pixels; the same state of `rng` gives the same picture.

    Args:
        style: one of `STYLES`.
        class_name: one of `CLASSES`.
        rng: the source of shape, pose, colours and noise.
        signature: the probability that the object has its class's signature colour rather than a random one.
    """
    shape = shape_of(class_name, rng)
    signed, free = rng.random() < signature, rng.random()
    hue = signature_hue(class_name) + rng.normal(0, 0.01) if signed else free
    return STYLES[style](shape, rng, hue)
