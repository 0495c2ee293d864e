"""`real`: a shaded, textured object before a cluttered background, like a photograph."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter

from fpray.drawing.colour import palette
from fpray.drawing.pose import CANVAS, posed
from fpray.drawing.shapes.parts import Shape
from fpray.drawing.styles.canvas import fill, grainy, mask, shrink, soft_background

_RAMP = np.linspace(-1, 1, CANVAS, dtype=np.float32)


def draw_real(shape: Shape, rng: Generator, hue: float) -> Image.Image:
    """Draw in this style; `hue` is the object's."""
    scene = soft_background(rng, int(rng.integers(2, 6)), 30, 225)
    pen = ImageDraw.Draw(scene)
    for _ in range(int(rng.integers(1, 5))):
        x, y, w, h = rng.uniform(0, CANVAS, size=4)
        colour = tuple(int(c) for c in rng.integers(20, 230, size=3))
        kind = pen.ellipse if rng.random() < 0.5 else pen.rectangle
        kind((x - w / 3, y - h / 3, x + w / 3, y + h / 3), fill=colour)
    scene = scene.filter(ImageFilter.BoxBlur(int(rng.integers(1, 4))))
    placed = posed(shape, rng, size=(0.6, 0.92), turn=15, drift=0.1)
    pen = ImageDraw.Draw(scene, "RGBA")
    low = max(part.points[:, 1].max() for part in placed)
    pen.ellipse((CANVAS * 0.2, low - 4, CANVAS * 0.8, low + 5), fill=(0, 0, 0, 70))
    thing = scene.copy()
    fill(ImageDraw.Draw(thing), placed, palette(rng, hue, (0.45, 0.95), (0.45, 0.95)))
    light, angle = rng.uniform(0.15, 0.4), rng.uniform(0, 2 * np.pi)
    shade = 1 + light * (np.cos(angle) * _RAMP[None, :] + np.sin(angle) * _RAMP[:, None])
    texture = np.repeat(np.repeat(rng.standard_normal((32, 32), dtype=np.float32), 2, 0), 2, 1)
    shade = shade + rng.uniform(0.03, 0.12) * texture
    lit = Image.fromarray(np.clip(np.asarray(thing, np.float32) * shade[..., None], 0, 255).astype(np.uint8))
    return grainy(shrink(Image.composite(lit, scene, mask(placed))), rng, rng.uniform(3, 10))
