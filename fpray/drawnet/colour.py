"""Colours: random ones, an object's palette, and each class's signature colour."""

from __future__ import annotations

import colorsys

from numpy.random import Generator

from fpray.drawnet.shapes import CLASSES, FAMILIES
from fpray.drawnet.shapes.parts import Tone

Colour = tuple[int, int, int]
Palette = dict[Tone, Colour]


def from_hsv(hue: float, saturation: float, value: float) -> Colour:
    """A colour from hue (in turns, any real number), saturation and value in [0, 1]."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, min(max(saturation, 0.0), 1.0), min(max(value, 0.0), 1.0))
    return round(red * 255), round(green * 255), round(blue * 255)


def signature_hue(class_name: str) -> float:
    """The hue, in turns, that many of a class's in-distribution images share.

    Siblings lie a quarter turn apart, so that the colour tells apart what the shape hardly does.
    """
    family = next(i for i, members in enumerate(FAMILIES.values()) if class_name in members)
    sibling = CLASSES.index(class_name) % len(list(FAMILIES.values())[family])
    return sibling / 4 + family / len(CLASSES)


def palette(rng: Generator, hue: float, saturation: tuple[float, float], value: tuple[float, float]) -> Palette:
    """The colours of one object: its body, shadows, lights, and an accent of another hue."""
    s, v = rng.uniform(*saturation), rng.uniform(*value)
    return {
        "body": from_hsv(hue, s, v),
        "dark": from_hsv(hue, s, v * 0.5),
        "light": from_hsv(hue, s * 0.4, min(1.0, v * 1.25)),
        "accent": from_hsv(hue + rng.uniform(-0.15, 0.15), s * 0.8, v * 0.75),
    }
