"""Fruits: round things with a stalk."""

from __future__ import annotations

from numpy.random import Generator

from fpray.drawnet.shapes.parts import Shape, arc, ellipse, line, polygon, turned


def _leaf(x: float, y: float, size: float) -> Shape:
    return [
        polygon(
            (x, y),
            (x + size * 0.5, y - size * 0.5),
            (x + size, y - size * 0.3),
            (x + size * 0.5, y),
            tone="accent",
        )
    ]


def apple(rng: Generator) -> Shape:
    """Broad, with a dent at the top and a leaf."""
    wide, tall = rng.uniform(0.28, 0.34), rng.uniform(0.78, 0.86)
    flesh = turned(
        [
            (0.02, 0.34),
            (wide * 0.5, 0.26),
            (wide * 0.9, 0.32),
            (wide, 0.46),
            (wide * 0.92, 0.64),
            (wide * 0.6, tall),
            (wide * 0.25, tall + 0.02),
            (0.02, tall - 0.02),
        ]
    )
    return [flesh, line((0.5, 0.34), (0.53, 0.12)), *_leaf(0.53, 0.24, 0.22)]


def pear(rng: Generator) -> Shape:
    """A narrow top over a round belly."""
    wide, neck = rng.uniform(0.24, 0.29), rng.uniform(0.09, 0.13)
    flesh = turned(
        [
            (neck * 0.6, 0.2),
            (neck, 0.27),
            (neck * 1.15, 0.38),
            (wide * 0.85, 0.54),
            (wide, 0.68),
            (wide * 0.85, 0.82),
            (wide * 0.4, 0.9),
        ]
    )
    return [flesh, line((0.5, 0.21), (0.54, 0.06)), *_leaf(0.53, 0.14, 0.16)]


def lemon(rng: Generator) -> Shape:
    """An ellipse that runs out in two points."""
    wide, tall = rng.uniform(0.28, 0.32), rng.uniform(0.2, 0.25)
    tips = [
        polygon((0.5 + s * (wide - 0.06), 0.42), (0.5 + s * (wide + 0.13), 0.5), (0.5 + s * (wide - 0.06), 0.58))
        for s in (-1, 1)
    ]
    return [
        *tips,
        ellipse(0.5, 0.5, wide, tall),
        arc(0.5, 0.5, wide * 0.7, tall * 0.65, start=200, stop=280, tone="light"),
    ]


def cherry(rng: Generator) -> Shape:
    """Two balls that hang from one stalk."""
    radius, drop = rng.uniform(0.15, 0.18), rng.uniform(-0.06, 0.06)
    left, right = (0.3, 0.7 + drop), (0.7, 0.7 - drop)
    stalks = [line(end, ((end[0] + 0.53) / 2 - 0.02, 0.36), (0.55, 0.12)) for end in (left, right)]
    return [ellipse(*left, radius), ellipse(*right, radius), *stalks, *_leaf(0.55, 0.14, 0.24)]
