"""`painting`: broad brush strokes that follow the colours of an underpainting."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw

from fpray.drawnet.colour import palette
from fpray.drawnet.pose import CANVAS, posed
from fpray.drawnet.shapes.parts import Shape
from fpray.drawnet.styles.canvas import fill, shrink, soft_background, standing_out

_STROKES = 260


def draw_painting(shape: Shape, rng: Generator, hue: float) -> Image.Image:
    """Draw in this style; `hue` is the object's."""
    level = rng.uniform(0.2, 0.8)
    under = soft_background(rng, int(rng.integers(2, 4)), level)
    placed = posed(shape, rng, size=(0.7, 0.98), turn=20, drift=0.08)
    fill(ImageDraw.Draw(under), placed, palette(rng, hue, (0.4, 0.9), standing_out(level)))
    seen = np.asarray(under)
    picture = under.copy()
    pen = ImageDraw.Draw(picture)
    at = rng.integers(0, CANVAS, size=(_STROKES, 2))
    shift = rng.normal(0, 14, size=(_STROKES, 3))
    colours = np.clip(seen[at[:, 1], at[:, 0]] + shift, 0, 255).astype(int).tolist()
    angles = rng.uniform(0, np.pi) + rng.normal(0, 0.5, size=_STROKES)
    reach = rng.uniform(1.5, 4.5, size=(_STROKES, 1)) * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    for (x0, y0, x1, y1), colour in zip(np.hstack([at - reach, at + reach]).tolist(), colours, strict=True):
        pen.line((x0, y0, x1, y1), fill=tuple(colour), width=3)
    return shrink(picture)
