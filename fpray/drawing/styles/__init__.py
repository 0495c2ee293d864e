"""The six styles of DomainNet: each turns a shape in the unit square into a picture."""

from __future__ import annotations

from collections.abc import Callable

from numpy.random import Generator
from PIL import Image

from fpray.drawing.shapes.parts import Shape
from fpray.drawing.styles.clipart import draw_clipart
from fpray.drawing.styles.infograph import draw_infograph
from fpray.drawing.styles.painting import draw_painting
from fpray.drawing.styles.quickdraw import draw_quickdraw
from fpray.drawing.styles.real import draw_real
from fpray.drawing.styles.sketch import draw_sketch

STYLES: dict[str, Callable[[Shape, Generator, float], Image.Image]] = {
    "real": draw_real,
    "clipart": draw_clipart,
    "infograph": draw_infograph,
    "painting": draw_painting,
    "quickdraw": draw_quickdraw,
    "sketch": draw_sketch,
}
"""Style name to a function of a shape, a random generator and the object's hue (in turns)."""
