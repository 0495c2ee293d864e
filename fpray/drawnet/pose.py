"""The pose of an object in the picture: its size, turn, flip and place."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from fpray.drawnet.shapes.parts import Part, Shape

CANVAS = 64
"""The side of the canvas on which the styles draw, in pixels: twice that of the finished image."""

IMAGE = 32
"""The side of a finished image, in pixels."""


def posed(shape: Shape, rng: Generator, *, size: tuple[float, float], turn: float, drift: float) -> Shape:
    """The shape in canvas pixels after a random flip, stretch, shear, turn, scale and shift.

    Args:
        shape: the shape, in the unit square.
        rng: the source of the random pose.
        size: the range of the object's side, as a share of the canvas.
        turn: the largest angle either way, in degrees.
        drift: the largest shift from the middle either way, as a share of the canvas.
    """
    scale = rng.uniform(*size) * CANVAS
    angle = np.radians(rng.uniform(-turn, turn))
    stretch, shear, flip = rng.uniform(0.85, 1.15), rng.uniform(-0.12, 0.12), rng.choice([-1.0, 1.0])
    turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = scale * turned @ np.array([[flip * stretch, shear], [0.0, 1.0 / stretch]])
    middle = CANVAS * (0.5 + rng.uniform(-drift, drift, size=2))
    return [Part((part.points - 0.5) @ matrix.T + middle, part.tone, part.closed) for part in shape]
