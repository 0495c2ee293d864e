"""The six styles of DomainNet: each turns a shape in the unit square into a picture."""

from __future__ import annotations

from collections.abc import Callable

from numpy.random import Generator
from PIL import Image

from fpray.drawnet.shapes.parts import Shape
from fpray.drawnet.styles.clipart import draw_clipart
from fpray.drawnet.styles.infograph import draw_infograph
from fpray.drawnet.styles.painting import draw_painting
from fpray.drawnet.styles.quickdraw import draw_quickdraw
from fpray.drawnet.styles.real import draw_real
from fpray.drawnet.styles.sketch import draw_sketch

STYLES: dict[str, Callable[[Shape, Generator, float], Image.Image]] = {
    "real": draw_real,
    "clipart": draw_clipart,
    "infograph": draw_infograph,
    "painting": draw_painting,
    "quickdraw": draw_quickdraw,
    "sketch": draw_sketch,
}
"""Style name to a function of a shape, a random generator and the object's hue (in turns)."""
