"""Every layout holds what a layout must; `trees.TREES` makes a small dataset in each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fpray.data import DATASETS
from fpray.testing import LayoutConformance
from tests.data.trees import TREES


def test_every_layout_has_a_tree() -> None:
    assert DATASETS.keys() == TREES.keys()


def _suite(name: str, make: Callable[[Path], dict[str, Any]]) -> type:
    """The suite of a layout."""
    return type(f"Test{name}", (LayoutConformance,), {"layout": DATASETS[name], "section": staticmethod(make)})


for _name, _make in TREES.items():
    globals()[f"Test{_name}"] = _suite(_name, _make)
