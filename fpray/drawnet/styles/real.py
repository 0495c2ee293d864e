"""`real`: a shaded, textured object before a cluttered background, like a photograph."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw, ImageFilter

from fpray.drawnet.colour import from_hsv, palette
from fpray.drawnet.pose import CANVAS, posed
from fpray.drawnet.shapes.parts import Shape
from fpray.drawnet.styles.canvas import fill, grainy, mask, shrink, soft_background, standing_out

_RAMP = np.linspace(-1, 1, CANVAS, dtype=np.float32)


def draw_real(shape: Shape, rng: Generator, hue: float) -> Image.Image:
    """Draw in this style; `hue` is the object's."""
    level = rng.uniform(0.2, 0.8)
    scene = soft_background(rng, int(rng.integers(2, 6)), level)
    pen = ImageDraw.Draw(scene)
    for _ in range(int(rng.integers(1, 5))):
        x, y, w, h = rng.uniform(0, CANVAS, size=4)
        colour = from_hsv(rng.random(), rng.uniform(0, 0.4), level + rng.uniform(-0.2, 0.2))
        kind = pen.ellipse if rng.random() < 0.5 else pen.rectangle
        kind((x - w / 3, y - h / 3, x + w / 3, y + h / 3), fill=colour)
    scene = scene.filter(ImageFilter.BoxBlur(int(rng.integers(1, 4))))
    placed = posed(shape, rng, size=(0.65, 0.95), turn=15, drift=0.08)
    pen = ImageDraw.Draw(scene, "RGBA")
    low = max(part.points[:, 1].max() for part in placed)
    pen.ellipse((CANVAS * 0.2, low - 4, CANVAS * 0.8, low + 5), fill=(0, 0, 0, 70))
    thing = scene.copy()
    fill(ImageDraw.Draw(thing), placed, palette(rng, hue, (0.5, 0.95), standing_out(level)))
    light, angle = rng.uniform(0.15, 0.4), rng.uniform(0, 2 * np.pi)
    shade = 1 + light * (np.cos(angle) * _RAMP[None, :] + np.sin(angle) * _RAMP[:, None])
    texture = np.repeat(np.repeat(rng.standard_normal((32, 32), dtype=np.float32), 2, 0), 2, 1)
    shade = shade + rng.uniform(0.03, 0.12) * texture
    lit = Image.fromarray(np.clip(np.asarray(thing, np.float32) * shade[..., None], 0, 255).astype(np.uint8))
    return grainy(shrink(Image.composite(lit, scene, mask(placed))), rng, rng.uniform(3, 10))
