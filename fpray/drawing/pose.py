"""Where and how an object stands in the picture."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from fpray.drawing.shapes.parts import Part, Shape

CANVAS = 64
"""Side, in pixels, at which the styles draw; the finished image is half of it."""

IMAGE = 32
"""Side of a finished image in pixels."""


def posed(shape: Shape, rng: Generator, size: tuple[float, float], turn: float, drift: float) -> Shape:
    """The shape in canvas pixels after a random flip, stretch, shear, turn, scale and shift.

    Args:
        size: Range of the object's side as a share of the canvas.
        turn: Largest angle in degrees either way.
        drift: Largest shift from the middle either way, as a share of the canvas.
    """
    scale = rng.uniform(*size) * CANVAS
    angle = np.radians(rng.uniform(-turn, turn))
    stretch, shear, flip = rng.uniform(0.85, 1.15), rng.uniform(-0.12, 0.12), rng.choice([-1.0, 1.0])
    turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = scale * turned @ np.array([[flip * stretch, shear], [0.0, 1.0 / stretch]])
    middle = CANVAS * (0.5 + rng.uniform(-drift, drift, size=2))
    return [Part((part.points - 0.5) @ matrix.T + middle, part.tone, part.closed) for part in shape]
