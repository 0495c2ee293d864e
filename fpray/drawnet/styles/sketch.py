"""`sketch`: grey pencil lines drawn twice, hatching, paper grain."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw

from fpray.drawnet.pose import CANVAS, posed
from fpray.drawnet.shapes.parts import Shape
from fpray.drawnet.styles.canvas import flat, grainy, mask, shrink
from fpray.drawnet.styles.strokes import halved, shaken, stroke


def draw_sketch(shape: Shape, rng: Generator, hue: float) -> Image.Image:
    """Draw in this style, which knows no colour: `hue` is not used."""
    paper, lead = int(rng.integers(195, 250)), int(rng.integers(40, 120))
    picture = Image.new("L", (CANVAS, CANVAS), paper)
    placed = posed(shape, rng, size=(0.6, 0.9), turn=22, drift=0.1)
    hatched = picture.copy()
    pen = ImageDraw.Draw(hatched)
    slope, gap = rng.uniform(-40, 40), int(rng.integers(4, 8))
    for x in range(-40, CANVAS + 40, gap):
        pen.line((x, 0, x + slope, CANVAS), fill=(paper + lead) // 2, width=1)
    if rng.random() < 0.7:
        picture = Image.composite(hatched, picture, mask(placed))
    pen = ImageDraw.Draw(picture)
    for part in placed:
        points = halved(stroke(part))
        for _ in range(2):
            pen.line(flat(shaken(points, rng, 0.7)), fill=int(np.clip(lead + rng.normal(0, 15), 0, 200)), width=1)
    return grainy(shrink(picture), rng, 6).convert("RGB")
