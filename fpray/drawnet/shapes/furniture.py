"""Furniture: a board on legs, with or without a back."""

from __future__ import annotations

from numpy.random import Generator

from fpray.drawnet.shapes.parts import Shape, box, polygon


def _legs(left: float, right: float, top: float, bottom: float) -> Shape:
    wide = 0.06
    return [
        box(left, top, left + wide, bottom, tone="dark"),
        box(right - wide, top, right, bottom, tone="dark"),
    ]


def chair(rng: Generator) -> Shape:
    """A seat with a high back on one side."""
    seat, back = rng.uniform(0.52, 0.58), rng.uniform(0.08, 0.16)
    return [
        *_legs(0.24, 0.74, seat, 0.93),
        box(0.24, back, 0.32, seat + 0.02),
        box(0.24, seat, 0.76, seat + 0.1),
        box(0.24, back, 0.34, back + 0.26, tone="accent"),
    ]


def stool(rng: Generator) -> Shape:
    """A small seat on splayed legs with a rung."""
    seat, half = rng.uniform(0.24, 0.34), rng.uniform(0.2, 0.26)
    legs = [
        polygon(
            (0.5 + s * half * 0.6, seat),
            (0.5 + s * half * 0.85, seat),
            (0.5 + s * (half + 0.08), 0.92),
            (0.5 + s * (half + 0.01), 0.92),
            tone="dark",
        )
        for s in (-1, 1)
    ]
    return [
        *legs,
        box(0.5 - half * 0.95, 0.64, 0.5 + half * 0.95, 0.69, tone="accent"),
        box(0.5 - half, seat - 0.04, 0.5 + half, seat + 0.06),
    ]


def table(rng: Generator) -> Shape:
    """A wide top on upright legs."""
    top, half = rng.uniform(0.32, 0.42), rng.uniform(0.4, 0.46)
    return [
        *_legs(0.56 - half, 0.44 + half, top, 0.86),
        box(0.56 - half, top + 0.06, 0.44 + half, top + 0.15, tone="accent"),
        box(0.5 - half, top, 0.5 + half, top + 0.08),
    ]


def bed(rng: Generator) -> Shape:
    """A long low mattress between a headboard and a footboard, with a pillow."""
    head, foot = rng.uniform(0.26, 0.34), rng.uniform(0.44, 0.5)
    return [
        box(0.04, head, 0.11, 0.82, tone="dark"),
        box(0.89, foot, 0.96, 0.82, tone="dark"),
        box(0.11, 0.54, 0.89, 0.72),
        polygon((0.12, 0.54), (0.14, 0.43), (0.32, 0.43), (0.34, 0.54), tone="light"),
        polygon((0.38, 0.54), (0.42, 0.47), (0.89, 0.47), (0.89, 0.64), (0.38, 0.64), tone="accent"),
    ]
