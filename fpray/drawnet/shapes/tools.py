"""Tools: a long handle and a head."""

from __future__ import annotations

from numpy.random import Generator

from fpray.drawnet.shapes.parts import Shape, box, ellipse, line, polygon


def _handle(rng: Generator, top: float, bottom: float) -> Shape:
    half = rng.uniform(0.03, 0.045)
    return [box(0.5 - half, top, 0.5 + half, bottom, tone="accent")]


def hammer(rng: Generator) -> Shape:
    """A head with a flat face and a claw."""
    low = rng.uniform(0.26, 0.32)
    head = polygon((0.26, 0.12), (0.58, 0.12), (0.8, 0.2), (0.84, 0.3), (0.62, low - 0.02), (0.26, low))
    return [*_handle(rng, 0.2, 0.95), head, box(0.2, 0.1, 0.28, low + 0.02, tone="dark")]


def axe(rng: Generator) -> Shape:
    """A blade that widens to one side."""
    reach, low = rng.uniform(0.1, 0.18), rng.uniform(0.44, 0.52)
    blade = polygon(
        (0.56, 0.14),
        (0.44, 0.2),
        (reach + 0.08, 0.06),
        (reach, 0.28),
        (reach + 0.08, low),
        (0.44, 0.34),
        (0.56, 0.36),
    )
    edge = line((reach + 0.08, 0.06), (reach, 0.28), (reach + 0.08, low), tone="light")
    return [*_handle(rng, 0.08, 0.95), blade, edge]


def shovel(rng: Generator) -> Shape:
    """A pointed blade below and a cross grip above."""
    half, top = rng.uniform(0.15, 0.2), rng.uniform(0.54, 0.6)
    blade = polygon((0.5 - half, top), (0.5 + half, top), (0.5 + half, 0.78), (0.5, 0.97), (0.5 - half, 0.78))
    return [
        *_handle(rng, 0.06, top + 0.02),
        box(0.37, 0.05, 0.63, 0.12, tone="dark"),
        blade,
        line((0.5, top + 0.04), (0.5, 0.84)),
    ]


def spoon(rng: Generator) -> Shape:
    """An oval bowl on a thin handle."""
    half = rng.uniform(0.14, 0.18)
    return [
        *_handle(rng, 0.4, 0.96),
        ellipse(0.5, 0.26, half, 0.21),
        ellipse(0.52, 0.25, half * 0.6, 0.13, tone="light"),
    ]
