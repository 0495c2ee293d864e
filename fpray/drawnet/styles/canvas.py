"""Drawing for all styles: filling a shape, soft backgrounds, and shrinking to the final size."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from fpray.drawnet.colour import Colour, Palette
from fpray.drawnet.pose import CANVAS, IMAGE
from fpray.drawnet.shapes.parts import Shape

Pixels = NDArray[np.float32]


def flat(points: NDArray[np.float64]) -> list[float]:
    """Points in PIL's order: x, y, x, y, ..."""
    result: list[float] = points.ravel().tolist()
    return result


def fill(
    pen: ImageDraw.ImageDraw, shape: Shape, colours: Palette, *, outline: Colour | None = None, width: int = 2
) -> None:
    """Draw every part in its tone.

    Args:
        pen: the canvas.
        shape: the parts, from the one behind to the one in front.
        colours: the colour of each tone.
        outline: the colour of outlines and lines; without it, lines have the colours of their tones, and filled parts
            have no outlines.
        width: the width of outlines and lines, in pixels.
    """
    for part in shape:
        points = flat(part.points)
        if part.closed:
            pen.polygon(points, fill=colours[part.tone])
        ink = colours[part.tone] if outline is None and not part.closed else outline
        if ink is not None:
            pen.line(points + points[:2] if part.closed else points, fill=ink, width=width, joint="curve")


def soft_background(rng: Generator, cells: int, level: float) -> Image.Image:
    """A blurred field of dull colours, `cells` blobs a side, about the lightness `level` in [0, 1]."""
    colours = 255 * level + rng.uniform(-40, 40, size=(cells, cells, 1)) + rng.uniform(-28, 28, size=(cells, cells, 3))
    return Image.fromarray(np.clip(colours, 0, 255).astype(np.uint8)).resize((CANVAS, CANVAS), Image.Resampling.BICUBIC)


def standing_out(level: float) -> tuple[float, float]:
    """The range of an object's value (of HSV) that shows before a background of this lightness."""
    return (0.25, 0.65) if level > 0.5 else (0.7, 1.0)


def mask(shape: Shape) -> Image.Image:
    """The shape's silhouette: 255 inside, 0 outside."""
    image = Image.new("L", (CANVAS, CANVAS), 0)
    pen = ImageDraw.Draw(image)
    for part in shape:
        if part.closed:
            pen.polygon(flat(part.points), fill=255)
        else:
            pen.line(flat(part.points), fill=255, width=2)
    return image


def shrink(image: Image.Image) -> Image.Image:
    """The canvas at the final size, each pixel the mean of four."""
    return image.reduce(CANVAS // IMAGE)


def grainy(image: Image.Image, rng: Generator, amount: float) -> Image.Image:
    """The image with Gaussian noise of standard deviation `amount` (of 255)."""
    pixels: Pixels = np.asarray(image, dtype=np.float32)
    noise = rng.standard_normal(pixels.shape, dtype=np.float32)
    return Image.fromarray(np.clip(pixels + amount * noise, 0, 255).astype(np.uint8))
