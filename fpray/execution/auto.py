"""What `auto` stands for in `train.batch_size` and `train.compile`, tried where trials run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import ray
import torch

from fpray.config import Needs, PackedSettings, Resources, Sweep
from fpray.errors import UserError
from fpray.methods import METHODS, TrainedMethod
from fpray.model import Model
from fpray.space import Space
from fpray.training import fitting_batch_size, trial_seconds

COMPILED_FROM = 600.0
"""The seconds that a trial's training takes at least for compiling to pay: it takes about one minute, and saves a third
of the rest (a roofline estimate)."""

LOOK_EVERY = 1.0
"""Seconds between two looks at what is tried."""

T = TypeVar("T")
OnWait = Callable[[Needs], object]
"""Told what is asked for, each time that there is no answer yet."""


def batch_size_that_fits(sweep: Sweep, on_wait: OnWait) -> int:
    """Try on the cluster's GPUs how large a batch may be for every method, see `fitting_batch_size`.

    Raises:
        UserError: if not even one image fits, or for a mistake that only shows there.
    """
    size = min(_tried(sweep, spaces, _fitting, on_wait) for spaces in _alike(sweep))
    if size == 0:
        raise UserError(
            "train.batch_size: not even one image fits on a GPU; take a smaller model or larger GPUs, or set "
            "train.gradient_checkpointing to true"
        )
    return size


def _fitting(packed: PackedSettings, models: Iterable[Model], spaces: Mapping[str, Space]) -> int:
    return fitting_batch_size(packed, models, spaces, torch.device("cuda"))


def compiling_pays(sweep: Sweep, on_wait: OnWait) -> bool:
    """Try on the cluster's GPUs how long trials would take without being compiled, see `trial_seconds`.

    Raises:
        UserError: for a mistake that only shows there.
    """
    seconds = [_tried(sweep, spaces, trial_seconds, on_wait) for spaces in _alike(sweep)]
    return max(seconds, default=0.0) >= COMPILED_FROM


def _alike(sweep: Sweep) -> list[Mapping[str, Space]]:
    """The search spaces of the methods that train, those together whose trials have the same resources."""
    alike: dict[Resources, dict[str, Space]] = {}
    for method, settings in sweep.methods.items():
        if issubclass(METHODS[method], TrainedMethod):
            alike.setdefault(sweep.resources_of(method), {})[method] = settings.space()
    return list(alike.values())


def _tried(sweep: Sweep, spaces: Mapping[str, Space], work: Callable[..., T], on_wait: OnWait) -> T:
    """What some work finds out where trials of these methods run: on one node, before a cluster grows by more."""
    settings = sweep.trial_settings(next(iter(spaces)))
    resources = settings.resources
    task: Any = ray.remote(max_calls=1)(work)
    task = task.options(num_cpus=resources.cpus, num_gpus=resources.gpus, accelerator_type=resources.accelerator)
    answer = task.remote(settings.packed(), sweep.model.each(), spaces)
    while not ray.wait([answer], timeout=LOOK_EVERY)[0]:
        on_wait(resources.model_copy(update={"workers": 1}))
    try:
        found: T = ray.get(answer)
    except ray.exceptions.RayTaskError as error:
        raise (error.cause if isinstance(error.cause, UserError) else error) from None
    return found
