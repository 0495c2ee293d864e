"""The datasets: every module in this folder that defines a `Dataset`."""

from __future__ import annotations

import importlib
import pkgutil

from fpray.data.base import Dataset, Split

for _module in pkgutil.iter_modules(__path__):
    if _module.name != "__main__":  # the command, which imports the datasets itself
        importlib.import_module(f"{__name__}.{_module.name}")

DATASETS: dict[str, type[Dataset]] = {kind.name: kind for kind in Dataset.__subclasses__()}

__all__ = ["DATASETS", "Dataset", "Split"]
