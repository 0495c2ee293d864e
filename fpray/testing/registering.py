"""Methods and layouts that fpray knows for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from fpray.data import DATASETS, Dataset
from fpray.methods import METHODS, Method


@contextmanager
def registered(kind: type[Method[Any]] | type[Dataset]) -> Iterator[None]:
    """A method or layout that sweep files may name inside this block, and not after it.

    Raises:
        UserError: if its name can't be used, or is another's.
    """
    registry: Any = METHODS if issubclass(kind, Method) else DATASETS
    module = ModuleType(kind.__module__)
    vars(module)[kind.__name__] = kind
    with registry.restored():
        registry.add(module)
        yield
