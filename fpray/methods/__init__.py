"""The methods: every module in this folder that defines a `Method` with a name."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

from fpray.methods.base import DerivedMethod, Hyperparameters, Method, TrainedMethod


def _discover() -> dict[str, type[Method]]:
    """By name, in the order of tables: what trains nothing, what trains, what builds on others' results."""
    modules = [importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    kinds = [kind for module in modules for _, kind in inspect.getmembers(module, inspect.isclass)]
    named = {kind for kind in kinds if issubclass(kind, Method) and "name" in vars(kind)}
    order = sorted(named, key=lambda kind: (kind.builds_on is not None, issubclass(kind, TrainedMethod), kind.name))
    return {kind.name: kind for kind in order}


METHODS: dict[str, type[Method]] = _discover()

__all__ = ["METHODS", "DerivedMethod", "Hyperparameters", "Method", "TrainedMethod"]
