"""`clipart`: flat bright colours, black outlines, a pale background."""

from __future__ import annotations

from numpy.random import Generator
from PIL import Image, ImageDraw

from fpray.drawnet.colour import from_hsv, palette
from fpray.drawnet.pose import CANVAS, posed
from fpray.drawnet.shapes.parts import Shape
from fpray.drawnet.styles.canvas import fill, shrink


def draw_clipart(shape: Shape, rng: Generator, hue: float) -> Image.Image:
    """Draw in this style; `hue` is the object's."""
    picture = Image.new("RGB", (CANVAS, CANVAS), from_hsv(rng.random(), rng.uniform(0, 0.12), 1.0))
    placed = posed(shape, rng, size=(0.55, 0.9), turn=25, drift=0.1)
    colours = palette(rng, hue, (0.6, 1.0), (0.7, 1.0))
    fill(ImageDraw.Draw(picture), placed, colours, outline=(20, 20, 20), width=int(rng.integers(2, 4)))
    return shrink(picture)
