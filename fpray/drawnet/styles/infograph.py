"""`infograph`: a small object among bars, boxes and lines of text."""

from __future__ import annotations

from numpy.random import Generator
from PIL import Image, ImageDraw

from fpray.drawnet.colour import from_hsv, palette
from fpray.drawnet.pose import CANVAS, posed
from fpray.drawnet.shapes.parts import Shape
from fpray.drawnet.styles.canvas import fill, shrink


def draw_infograph(shape: Shape, rng: Generator, hue: float) -> Image.Image:
    """Draw in this style; `hue` is the object's."""
    picture = Image.new("RGB", (CANVAS, CANVAS), from_hsv(rng.random(), rng.uniform(0, 0.15), rng.uniform(0.9, 1.0)))
    pen = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(3, 7))):
        x, y, w, h = rng.uniform((-6, -6, 8, 3), (CANVAS, CANVAS, 28, 9))
        pen.rectangle((x, y, x + w, y + h), fill=from_hsv(rng.random(), rng.uniform(0.3, 0.8), rng.uniform(0.5, 0.95)))
    for _ in range(int(rng.integers(3, 7))):
        x, y = rng.uniform(0, CANVAS - 12, size=2)
        for word in range(int(rng.integers(2, 6))):
            pen.line((x + 5 * word, y, x + 5 * word + 3, y), fill=(60, 60, 60), width=2)
    placed = posed(shape, rng, size=(0.46, 0.68), turn=10, drift=0.15)
    fill(pen, placed, palette(rng, hue, (0.5, 0.9), (0.4, 0.85)))
    return shrink(picture)
