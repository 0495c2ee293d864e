"""Containers: solids of revolution, told apart by profile, neck and handle."""

from __future__ import annotations

from numpy.random import Generator

from fpray.drawnet.shapes.parts import Part, Shape, arc_points, box, ellipse, turned


def mug(rng: Generator) -> Shape:
    """A cylinder with a handle."""
    half, top, reach = rng.uniform(0.2, 0.26), rng.uniform(0.2, 0.32), rng.uniform(0.13, 0.18)
    right = 0.43 + half
    outer = Part(arc_points(right - 0.02, 0.53, reach + 0.05, 0.19, start=-90, stop=90, count=9), "dark")
    inner = Part(arc_points(right - 0.02, 0.53, reach - 0.03, 0.1, start=-90, stop=90, count=9), "light")
    return [
        outer,
        inner,
        turned([(half, top), (half, 0.82), (half - 0.04, 0.86)], centre=0.43),
        ellipse(0.43, top, half, 0.06, tone="dark"),
    ]


def jar(rng: Generator) -> Shape:
    """A wide belly, shoulders and a lid."""
    half, top = rng.uniform(0.22, 0.28), rng.uniform(0.14, 0.2)
    body = turned([(half - 0.09, top + 0.14), (half, top + 0.24), (half, 0.82), (half - 0.05, 0.88)])
    label = box(0.5 - half, 0.52, 0.5 + half, 0.7, tone="light")
    return [body, label, box(0.56 - half, top, 0.44 + half, top + 0.13, tone="accent")]


def bottle(rng: Generator) -> Shape:
    """A slim body and a long neck."""
    half, neck, shoulder = rng.uniform(0.13, 0.18), rng.uniform(0.045, 0.065), rng.uniform(0.36, 0.46)
    body = turned([(neck, 0.1), (neck, shoulder - 0.12), (half, shoulder), (half, 0.9), (half - 0.02, 0.93)])
    label = box(0.5 - half, 0.56, 0.5 + half, 0.76, tone="light")
    return [body, label, box(0.49 - neck, 0.06, 0.51 + neck, 0.13, tone="dark")]


def vase(rng: Generator) -> Shape:
    """A flaring rim, a narrow neck, a round belly and a foot."""
    belly, neck, rim = rng.uniform(0.19, 0.27), rng.uniform(0.06, 0.1), rng.uniform(0.13, 0.19)
    body = turned(
        [
            (rim, 0.1),
            (neck + 0.02, 0.19),
            (neck, 0.28),
            (belly * 0.8, 0.4),
            (belly, 0.54),
            (belly * 0.85, 0.7),
            (0.1, 0.84),
            (0.13, 0.91),
        ]
    )
    band = turned([(belly * 0.95, 0.48), (belly, 0.54), (belly * 0.97, 0.6)], tone="accent")
    return [body, band]
