"""Plants: something on a stem."""

from __future__ import annotations

from numpy.random import Generator

from fpray.drawnet.shapes.parts import Shape, box, ellipse, line, polygon


def tree(rng: Generator) -> Shape:
    """A round crown of three clumps on a trunk."""
    trunk, wide = rng.uniform(0.05, 0.075), rng.uniform(0.17, 0.22)
    return [
        box(0.5 - trunk, 0.5, 0.5 + trunk, 0.94, tone="dark"),
        ellipse(0.5 - wide * 0.8, 0.44, wide, 0.17),
        ellipse(0.5 + wide * 0.8, 0.44, wide, 0.17),
        ellipse(0.5, 0.28, wide + 0.03, 0.2),
    ]


def pine(rng: Generator) -> Shape:
    """Triangles, one over the other, on a short trunk."""
    wide = rng.uniform(0.24, 0.32)
    tiers = [(0.52, 0.84, 1.0), (0.3, 0.62, 0.8), (0.06, 0.4, 0.6)]
    return [
        box(0.45, 0.8, 0.55, 0.95, tone="dark"),
        *(polygon((0.5, top), (0.5 + wide * w, low), (0.5 - wide * w, low)) for top, low, w in tiers),
    ]


def tulip(rng: Generator) -> Shape:
    """A cup of pointed petals on a stem with two long leaves."""
    half, low = rng.uniform(0.15, 0.2), rng.uniform(0.4, 0.46)
    cup = polygon(
        (0.5 - half, 0.1),
        (0.5 - half / 2, 0.2),
        (0.5, 0.07),
        (0.5 + half / 2, 0.2),
        (0.5 + half, 0.1),
        (0.5 + half, low - 0.1),
        (0.5 + half / 2, low),
        (0.5 - half / 2, low),
        (0.5 - half, low - 0.1),
    )
    leaves = [
        polygon((0.5, 0.93), (0.5 + s * 0.2, 0.74), (0.5 + s * 0.25, 0.52), (0.5 + s * 0.07, 0.7), tone="accent")
        for s in (-1, 1)
    ]
    return [box(0.475, low, 0.525, 0.94, tone="dark"), *leaves, cup]


def cactus(rng: Generator) -> Shape:
    """A ribbed column with two raised arms."""
    left, right, half = rng.uniform(0.48, 0.6), rng.uniform(0.4, 0.54), rng.uniform(0.09, 0.12)

    def arm(side: int, y: float) -> Shape:
        x, end = 0.5 + side * 0.27, 0.5 + side * half * 0.6
        return [
            box(min(x, end), y, max(x, end), y + 0.1),
            box(x - 0.055, y - 0.2, x + 0.055, y + 0.1),
            ellipse(x, y - 0.2, 0.055),
        ]

    column = [ellipse(0.5, 0.18, half, 0.1), box(0.5 - half, 0.17, 0.5 + half, 0.82)]
    pot = polygon((0.3, 0.78), (0.7, 0.78), (0.64, 0.95), (0.36, 0.95), tone="accent")
    return [*arm(-1, left), *arm(1, right), *column, line((0.5, 0.2), (0.5, 0.76)), pot]
