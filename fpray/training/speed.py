"""How fast this machine trains and evaluates, from a few measured steps."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import default_collate

from fpray.config import PackedSettings, Train
from fpray.data import Draws
from fpray.methods import METHODS, TrainedMethod
from fpray.model import Model
from fpray.space import Space
from fpray.training.batchsize import costliest
from fpray.training.replay import replayed_sample
from fpray.training.runtime import Runtime
from fpray.training.step import Stepper, size_of
from fpray.training.trial import reference_of

STEPS = 3
"""Steps that are timed, after one that is not."""
MOST = 64
"""Images of a step: a larger batch takes as long for each."""


@dataclass(frozen=True)
class Speed:
    """Seconds that an image takes, in training and in evaluation, loading it included."""

    training: float
    evaluation: float


def measured_speed(method: TrainedMethod[Any], train: Train, loaders: int) -> Speed:
    """Time a few steps of a method and a forward pass on its own training images.

    Args:
        loaders: the processes that load images meanwhile; with 0 the training waits for each.
    """
    reference = method.reference
    draws = Draws(method.training_data(reference.dataset.splits()[0]), seed=0)
    size = min(MOST, len(draws.items), int(train.batch_size))
    began = time.monotonic()
    items = [draws[0, index] for index in range(size)]
    loading = (time.monotonic() - began) / size
    replayed = replayed_sample(method, size)
    loading *= 1 + (size_of(replayed) / size if replayed else 0)
    batch = {**default_collate(items), **replayed}
    stepper = Stepper(method.train(), train, Runtime(reference.device), 1 + STEPS)  # averages are of so many
    # A method's own data may be no images.
    images = next(iter(reference.in_order({reference.dataset.splits()[0]: range(size)})))

    def step() -> None:
        stepper.step(batch, lr_factor=0.0)

    @torch.no_grad()
    def evaluate() -> None:
        method.classifier.eval()
        method.classifier.features(reference.on_device(images)["images"])

    training, evaluation = _seconds(step) / size, _seconds(evaluate) / size
    if loaders:
        return Speed(max(training, loading / loaders), max(evaluation, loading / loaders))
    return Speed(training + loading, evaluation + loading)


def trial_seconds(packed: PackedSettings, models: Iterable[Model], spaces: Mapping[str, Space]) -> float:
    """How long the training of a trial takes on this node's GPU, of the slowest of some models and methods.

    Args:
        spaces: the search space of each method.
    """
    settings, found = packed.unpacked(), [0.0]
    for model in models:
        reference = reference_of(model, settings, torch.device("cuda" if settings.resources.gpus else "cpu"))
        images = len(reference.dataset.images(reference.dataset.splits()[0]))
        for name, space in spaces.items():
            kind = METHODS[name]
            if issubclass(kind, TrainedMethod):
                method = kind.make(next(costliest(space)), reference)
                speed = measured_speed(method, settings.train, settings.resources.loaders)
                found.append(settings.train.epochs * images * speed.training / settings.resources.workers)
    return max(found)


def _seconds(work: Any) -> float:
    """The mean over a few times, on a GPU until it has done all."""
    work()
    _wait()
    began = time.monotonic()
    for _ in range(STEPS):
        work()
    _wait()
    return (time.monotonic() - began) / STEPS


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
