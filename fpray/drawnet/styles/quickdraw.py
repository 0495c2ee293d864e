"""`quickdraw`: a few shaky black strokes on white, drawn in seconds."""

from __future__ import annotations

from numpy.random import Generator
from PIL import Image, ImageDraw

from fpray.drawnet.pose import CANVAS, posed
from fpray.drawnet.shapes.parts import Shape
from fpray.drawnet.styles.canvas import flat, shrink
from fpray.drawnet.styles.strokes import halved, shaken, stroke


def draw_quickdraw(shape: Shape, rng: Generator, hue: float) -> Image.Image:
    """Draw in this style, which knows no colour: `hue` is not used."""
    picture = Image.new("L", (CANVAS, CANVAS), 255)
    pen = ImageDraw.Draw(picture)
    shake = rng.uniform(0.8, 2.0)
    for part in posed(shape, rng, size=(0.6, 0.95), turn=18, drift=0.08):
        small = part.points.max(axis=0).sum() - part.points.min(axis=0).sum() < CANVAS * 0.3
        # In a hurry one leaves out details, seldom the body.
        if rng.random() < (0.25 if small else 0.04):
            continue
        points = shaken(halved(stroke(part)[:: 2 if len(part.points) > 10 else 1]), rng, shake * (0.5 if small else 1))
        pen.line(flat(points + rng.normal(0, 0.8, size=2)), fill=0, width=2, joint="curve")
    return shrink(picture).convert("RGB")
