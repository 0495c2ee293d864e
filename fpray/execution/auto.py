"""What `auto` stands for in `train.batch_size` and `train.compile`, tried where trials run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import ray
import torch

from fpray.config import PackedSettings, Resources, Sweep
from fpray.errors import UserError
from fpray.methods import METHODS, TrainedMethod
from fpray.model import Model
from fpray.space import Space
from fpray.training import fitting_batch_size, trial_seconds

COMPILED_FROM = 600.0
"""The seconds that a trial's training takes at least for compiling to pay: it takes about one minute, and saves a third
of the rest (a roofline estimate)."""

T = TypeVar("T")


def batch_size_that_fits(sweep: Sweep) -> int:
    """Try on the cluster's GPUs how large a batch may be for every method, see `fitting_batch_size`.

    Raises:
        UserError: if not even one image fits, or for a mistake that only shows there.
    """
    size = min(_tried(sweep, spaces, _fitting) for spaces in _alike(sweep))
    if size == 0:
        raise UserError(
            "train.batch_size: not even one image fits on a GPU; take a smaller model or larger GPUs, or set "
            "train.gradient_checkpointing to true"
        )
    return size


def _fitting(packed: PackedSettings, models: Iterable[Model], spaces: Mapping[str, Space]) -> int:
    return fitting_batch_size(packed, models, spaces, torch.device("cuda"))


def compiling_pays(sweep: Sweep) -> bool:
    """Try on the cluster's GPUs how long trials would take without being compiled, see `trial_seconds`.

    Raises:
        UserError: for a mistake that only shows there.
    """
    seconds = [_tried(sweep, spaces, trial_seconds) for spaces in _alike(sweep)]
    return max(seconds, default=0.0) >= COMPILED_FROM


def _alike(sweep: Sweep) -> list[Mapping[str, Space]]:
    """The search spaces of the methods that train, those together whose trials have the same resources."""
    alike: dict[Resources, dict[str, Space]] = {}
    for method, settings in sweep.methods.items():
        if issubclass(METHODS[method], TrainedMethod):
            alike.setdefault(sweep.resources_of(method), {})[method] = settings.space()
    return list(alike.values())


def _tried(sweep: Sweep, spaces: Mapping[str, Space], work: Callable[..., T]) -> T:
    """What some work finds out where trials of these methods run."""
    settings = sweep.trial_settings(next(iter(spaces)))
    resources = settings.resources
    task: Any = ray.remote(max_calls=1)(work)
    task = task.options(num_cpus=resources.cpus, num_gpus=resources.gpus, accelerator_type=resources.accelerator)
    try:
        found: T = ray.get(task.remote(settings.packed(), sweep.model.each(), spaces))
    except ray.exceptions.RayTaskError as error:
        raise (error.cause if isinstance(error.cause, UserError) else error) from None
    return found
