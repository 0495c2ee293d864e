"""Animals: heads from the front, told apart by ears and snout."""

from __future__ import annotations

from numpy.random import Generator

from fpray.drawnet.shapes.parts import Shape, ellipse, line, polygon


def _face(rng: Generator, y: float, apart: float = 0.12) -> Shape:
    size = rng.uniform(0.035, 0.05)
    return [ellipse(0.5 - apart, y, size, tone="dark"), ellipse(0.5 + apart, y, size, tone="dark")]


def cat(rng: Generator) -> Shape:
    """Pointed ears and whiskers."""
    wide, tip = rng.uniform(0.28, 0.34), rng.uniform(0.08, 0.16)
    ears = [polygon((0.5 + s * wide, 0.5), (0.5 + s * wide * 0.95, tip), (0.5 + s * 0.06, 0.33)) for s in (-1, 1)]
    whiskers = [
        line((0.5 + s * 0.12, y), (0.5 + s * 0.44, y + d)) for s in (-1, 1) for y, d in ((0.66, -0.05), (0.7, 0.04))
    ]
    nose = polygon((0.45, 0.61), (0.55, 0.61), (0.5, 0.67), tone="accent")
    return [*ears, ellipse(0.5, 0.58, wide, 0.29), *_face(rng, 0.5), nose, *whiskers]


def dog(rng: Generator) -> Shape:
    """Hanging ears and a long snout."""
    wide, low = rng.uniform(0.23, 0.28), rng.uniform(0.64, 0.74)
    ears = [
        polygon(
            (0.5 + s * wide * 0.6, 0.22),
            (0.5 + s * (wide + 0.14), 0.3),
            (0.5 + s * (wide + 0.17), low - 0.06),
            (0.5 + s * (wide + 0.06), low),
            (0.5 + s * wide * 0.8, 0.46),
            tone="accent",
        )
        for s in (-1, 1)
    ]
    snout = [ellipse(0.5, 0.7, 0.16, 0.17, tone="light"), ellipse(0.5, 0.62, 0.07, 0.05, tone="dark")]
    return [ellipse(0.5, 0.48, wide, 0.31), *ears, *snout, line((0.5, 0.66), (0.5, 0.78)), *_face(rng, 0.42)]


def rabbit(rng: Generator) -> Shape:
    """Two long upright ears."""
    apart, tall = rng.uniform(0.11, 0.16), rng.uniform(0.2, 0.25)
    ears = [
        part
        for s in (-1, 1)
        for part in (
            ellipse(0.5 + s * apart, 0.27, 0.08, tall),
            ellipse(0.5 + s * apart, 0.28, 0.035, tall * 0.7, tone="accent"),
        )
    ]
    return [
        *ears,
        ellipse(0.5, 0.68, 0.26, 0.25),
        *_face(rng, 0.62, 0.1),
        ellipse(0.5, 0.73, 0.05, 0.035, tone="accent"),
    ]


def bear(rng: Generator) -> Shape:
    """Round ears and a round snout."""
    wide, ear = rng.uniform(0.29, 0.34), rng.uniform(0.11, 0.14)
    ears = [
        part
        for s in (-1, 1)
        for part in (
            ellipse(0.5 + s * 0.25, 0.26, ear),
            ellipse(0.5 + s * 0.25, 0.26, ear / 2, tone="accent"),
        )
    ]
    snout = [ellipse(0.5, 0.68, 0.14, 0.11, tone="light"), ellipse(0.5, 0.64, 0.06, 0.045, tone="dark")]
    return [*ears, ellipse(0.5, 0.55, wide, 0.31), *_face(rng, 0.47), *snout]
