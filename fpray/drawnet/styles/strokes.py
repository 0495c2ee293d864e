"""Unsteady strokes, for `quickdraw` and `sketch`."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from fpray.drawnet.shapes.parts import Part, Points


def stroke(part: Part) -> Points:
    """A part's outline as one stroke, back to its start if it is closed."""
    return np.concatenate([part.points, part.points[:1]]) if part.closed else part.points


def halved(points: Points) -> Points:
    """The stroke with the middle of each piece put in, so that a shaking hand can bend it."""
    between = np.empty((2 * len(points) - 1, 2))
    between[::2] = points
    between[1::2] = (points[:-1] + points[1:]) / 2
    return between


def shaken(points: Points, rng: Generator, amount: float) -> Points:
    """The stroke with every point moved by about `amount` pixels."""
    return points + rng.normal(0, amount, size=points.shape)
