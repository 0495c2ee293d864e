"""The parts of shapes: outlines in the unit square (x right, y down), each filled in one tone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Tone = Literal["body", "dark", "light", "accent"]
Points = NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """An outline of a shape: `points` [n, 2] in the unit square; an open outline is a line and is not filled."""

    points: Points
    tone: Tone = "body"
    closed: bool = True


Shape = list[Part]
"""An object as its parts, from the one behind to the one in front."""


def polygon(*corners: tuple[float, float], tone: Tone = "body") -> Part:
    """A filled polygon."""
    return Part(np.array(corners), tone)


def box(left: float, top: float, right: float, bottom: float, *, tone: Tone = "body") -> Part:
    """A filled rectangle."""
    return polygon((left, top), (right, top), (right, bottom), (left, bottom), tone=tone)


def arc_points(x: float, y: float, rx: float, ry: float, *, start: float, stop: float, count: int) -> Points:
    """Points [count, 2] on an ellipse about (x, y) with half axes rx and ry; angles in degrees, clockwise from east."""
    angles = np.radians(np.linspace(start, stop, count))
    return np.stack([x + rx * np.cos(angles), y + ry * np.sin(angles)], axis=1)


def ellipse(x: float, y: float, rx: float, ry: float | None = None, *, tone: Tone = "body") -> Part:
    """A filled ellipse about (x, y); a circle without `ry`."""
    count = 9 if rx < 0.12 else 17
    return Part(arc_points(x, y, rx, rx if ry is None else ry, start=0, stop=360, count=count)[:-1], tone)


def arc(x: float, y: float, rx: float, ry: float, *, start: float, stop: float, tone: Tone = "dark") -> Part:
    """A part of an ellipse's outline, as a line; angles as for `arc_points`."""
    return Part(arc_points(x, y, rx, ry, start=start, stop=stop, count=10), tone, closed=False)


def line(*points: tuple[float, float], tone: Tone = "dark") -> Part:
    """A line through the points."""
    return Part(np.array(points), tone, closed=False)


def turned(profile: Sequence[tuple[float, float]], tone: Tone = "body", centre: float = 0.5) -> Part:
    """A solid of revolution from the side: `profile` is (half width, y) from top to bottom."""
    half = np.array(profile)
    right = np.stack([centre + half[:, 0], half[:, 1]], axis=1)
    left = np.stack([centre - half[::-1, 0], half[::-1, 1]], axis=1)
    return Part(np.concatenate([right, left]), tone)
