"""Testing: what a method or a layout of one's own is tested with, and what fpray's own tests use.

`MethodConformance` and `LayoutConformance` are the tests that every method and every layout must pass: pytest runs
them for each subclass, `class TestMine(MethodConformance): method = Mine`. They need pytest, which fpray itself does
not install. `small_reference` is a tiny CLIP with random weights on `Squares`, a tiny dataset, so small that a test
takes seconds. `scripted` makes a method that does what a test tells it; `registered` makes a method or layout known
to sweep files while a test runs.
"""

import contextlib
from typing import TYPE_CHECKING

from fpray.lazily import attach
from fpray.testing.registering import registered
from fpray.testing.scripted import scripted
from fpray.testing.small import TINY, Squares, make_tiny_clip, small_reference

with contextlib.suppress(ModuleNotFoundError):  # benchmarks use the small data without pytest
    import pytest

    pytest.register_assert_rewrite("fpray.testing.layouts", "fpray.testing.methods")

if TYPE_CHECKING:
    from fpray.testing.layouts import LayoutConformance
    from fpray.testing.methods import MethodConformance, first_batch

__getattr__ = attach(
    __name__, {"LayoutConformance": "layouts", "MethodConformance": "methods", "first_batch": "methods"}
)

__all__ = [
    "TINY",
    "LayoutConformance",
    "MethodConformance",
    "Squares",
    "first_batch",
    "make_tiny_clip",
    "registered",
    "scripted",
    "small_reference",
]
