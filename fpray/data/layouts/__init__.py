"""The layouts: ways in which images lie on disk or in storage, one module each.

`DATASETS` has every layout by its name: those of the modules in this folder, those that installed packages offer by
entry points in the group `fpray.layouts`, and those of modules that were added.
"""

from __future__ import annotations

from fpray.data.base import DataOptions, Dataset
from fpray.discovery import Registry

DATASETS: Registry[Dataset] = Registry(Dataset, __name__, "fpray.layouts")  # type: ignore[type-abstract]


def open_dataset(options: DataOptions) -> Dataset:
    """The dataset that a sweep file's `data` section describes."""
    return DATASETS[options.layout](options)


__all__ = ["DATASETS", "open_dataset"]
