"""Vehicles from the side: a body on wheels, told apart by the roof line and the windows."""

from __future__ import annotations

from numpy.random import Generator

from fpray.drawnet.shapes.parts import Shape, box, ellipse, polygon


def _wheels(rng: Generator, *centres: float, y: float = 0.72) -> Shape:
    radius = rng.uniform(0.08, 0.105)
    return [
        part
        for x in centres
        for part in (ellipse(x, y, radius, tone="dark"), ellipse(x, y, radius / 2.4, tone="light"))
    ]


def car(rng: Generator) -> Shape:
    """Low, with a cabin in the middle of bonnet and boot."""
    roof, front = rng.uniform(0.3, 0.38), rng.uniform(0.2, 0.3)
    cabin = polygon((front, 0.52), (front + 0.12, roof), (0.66, roof), (0.8, 0.52))
    window = polygon((front + 0.06, 0.51), (front + 0.14, roof + 0.05), (0.63, roof + 0.05), (0.72, 0.51), tone="light")
    body = polygon((0.04, 0.56), (0.12, 0.51), (0.88, 0.51), (0.96, 0.58), (0.96, 0.72), (0.04, 0.72))
    return [cabin, body, window, *_wheels(rng, 0.25, 0.75)]


def van(rng: Generator) -> Shape:
    """High and closed, with one window behind a slanting front."""
    roof, nose = rng.uniform(0.24, 0.32), rng.uniform(0.14, 0.22)
    body = polygon((0.05, 0.72), (0.05, 0.55), (nose, 0.5), (nose + 0.13, roof), (0.92, roof), (0.95, 0.72))
    window = polygon((nose + 0.07, 0.49), (nose + 0.15, roof + 0.06), (0.44, roof + 0.06), (0.44, 0.49), tone="light")
    return [body, window, *_wheels(rng, 0.26, 0.76)]


def truck(rng: Generator) -> Shape:
    """A cab, a gap and a load box."""
    top, cab = rng.uniform(0.2, 0.28), rng.uniform(0.34, 0.42)
    load = box(0.36, top, 0.96, 0.66, tone="accent")
    front = polygon((0.04, 0.7), (0.04, 0.56), (0.1, cab), (0.32, cab), (0.32, 0.7))
    window = polygon((0.09, 0.54), (0.13, cab + 0.05), (0.26, cab + 0.05), (0.26, 0.54), tone="light")
    return [box(0.3, 0.64, 0.94, 0.7, tone="dark"), load, front, window, *_wheels(rng, 0.18, 0.62, 0.82)]


def bus(rng: Generator) -> Shape:
    """A long box with a row of windows."""
    roof, count = rng.uniform(0.24, 0.32), int(rng.integers(4, 6))
    pitch = 0.86 / count
    windows = [
        box(0.08 + i * pitch, roof + 0.08, 0.08 + (i + 0.72) * pitch, roof + 0.23, tone="light") for i in range(count)
    ]
    return [box(0.03, roof, 0.97, 0.72), *windows, *_wheels(rng, 0.22, 0.77)]
