"""`batch_size: auto`, tried where trials run."""

from __future__ import annotations

from typing import Any

import ray
import torch

from fpray.config import Resources, Sweep
from fpray.errors import UserError
from fpray.methods import METHODS, TrainedMethod
from fpray.training import fitting_batch_size


def batch_size_that_fits(sweep: Sweep) -> int:
    """Try on the cluster's GPUs how large a batch may be for every method, see `fitting_batch_size`.

    Raises:
        UserError: if not even one image fits, or for a mistake that only shows there.
    """
    alike: dict[Resources, list[str]] = {}
    for method in sweep.methods:
        if issubclass(METHODS[method], TrainedMethod):
            alike.setdefault(sweep.resources_of(method), []).append(method)
    size = min(_size_for(sweep, methods) for methods in alike.values())
    if size == 0:
        raise UserError(
            "train.batch_size: not even one image fits on a GPU; take a smaller model or larger GPUs, or set "
            "train.gradient_checkpointing to true"
        )
    return size


def _size_for(sweep: Sweep, methods: list[str]) -> int:
    """The largest batch of methods whose trials have the same resources."""
    settings = sweep.trial_settings(methods[0])
    resources = settings.resources
    task: Any = ray.remote(max_calls=1)(fitting_batch_size)
    task = task.options(num_cpus=resources.cpus, num_gpus=resources.gpus, accelerator_type=resources.accelerator)
    spaces = {name: sweep.methods[name].space() for name in methods}
    try:
        return int(ray.get(task.remote(settings.packed(), sweep.model.each(), spaces, torch.device("cuda"))))
    except ray.exceptions.RayTaskError as error:
        raise (error.cause if isinstance(error.cause, UserError) else error) from None
