"""The methods: ways to get from the pre-trained model to a fine-tuned classifier, one module each.

A `Method` has `Hyperparameters` and leaves a plain classifier behind; a `TrainedMethod` says which losses are
minimised on a `Batch`, a `DerivedMethod` makes its classifier of other trials' weights. What each must hold is written
in `base`. `METHODS` has every method by its name: those of the modules in this folder, those that installed packages
offer by entry points in the group `fpray.methods`, and those of modules that were added.
"""

from __future__ import annotations

from typing import Any

from fpray.data import Batch
from fpray.discovery import Registry
from fpray.methods.base import (
    Bench,
    Course,
    DerivedMethod,
    Group,
    Hyperparameters,
    Method,
    Takes,
    TrainedMethod,
    TrainedParams,
)


def _order(kind: type[Method[Any]]) -> tuple[bool, bool, bool, str]:
    """That of tables: the pre-trained model, what else trains nothing, what trains, what builds on others' results."""
    return kind.builds_on is not None, issubclass(kind, TrainedMethod), kind.is_source, kind.name


METHODS: Registry[Method[Any]] = Registry(Method, __name__, "fpray.methods", _order)  # type: ignore[type-abstract]

PAPER = ("zero_shot", "linear_probe", "full", "l1", "l2", "kd", "lora", "wise_ft")
"""The methods that arXiv 2405.16027 compares, and the linear probe."""
LISTS: dict[str, tuple[str, ...]] = {
    "paper": PAPER,
    "fast": ("zero_shot", "linear_probe", "full", "wise_ft", "lines", "block_wise_ft", "uniform_soup", "greedy_soup"),
}
"""Words for lists of methods; `fast` is full fine-tuning with what is made of it for nothing. `all` is every method
that asks for nothing; `model_stock`, where there are two `train.seeds`, and `rehearsal`, where there is something to
replay."""

__all__ = [
    "LISTS",
    "METHODS",
    "Batch",
    "Bench",
    "Course",
    "DerivedMethod",
    "Group",
    "Hyperparameters",
    "Method",
    "Takes",
    "TrainedMethod",
    "TrainedParams",
]
