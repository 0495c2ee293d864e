"""`batch_size: auto`: the largest batch with which every method of a sweep can take steps."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import torch
from torch.utils.data import default_collate

from fpray.config import PackedSettings, Train
from fpray.data import Draws
from fpray.methods import METHODS, TrainedMethod
from fpray.model import Model, Reference
from fpray.space import Params, Space, Value
from fpray.training.memory import is_out_of_memory
from fpray.training.replay import replayed_sample
from fpray.training.runtime import Runtime
from fpray.training.step import Stepper
from fpray.training.trial import reference_of

SHARE = 0.9
"""Of the memory that a trial has: evaluation, several workers' buffers and fragmentation need some too."""
MOST = 4096
"""The largest batch that is tried for one worker."""


def fitting_batch_size(
    packed: PackedSettings, models: Iterable[Model], spaces: Mapping[str, Space], device: torch.device
) -> int:
    """The largest batch size that fits every model, a power of two for each worker; 0 if not even one image does.

    Args:
        spaces: the search space of each method.
    """
    settings = packed.unpacked()
    if device.type == "cuda":
        # Where trials share a GPU, the rest of it is another's.
        torch.cuda.set_per_process_memory_fraction(SHARE * settings.resources.gpus, device)
    # No name holds a reference: two models at a time may not fit.
    fitting = [_fitting(settings.train, spaces, reference_of(model, settings, device)) for model in models]
    return settings.resources.workers * min(fitting)


def _fitting(train: Train, spaces: Mapping[str, Space], reference: Reference) -> int:
    images = len(reference.dataset.images(reference.dataset.splits()[0]))
    return largest(lambda size: fits(train, spaces, reference, size), limit=min(images, MOST))


def largest(fits: Callable[[int], bool], limit: int) -> int:
    """The largest power of two, at most `limit`, up to which every one fits; 0 if 1 does not."""
    size = 0
    while (larger := max(1, 2 * size)) <= limit and fits(larger):
        size = larger
    return size


def fits(train: Train, spaces: Mapping[str, Space], reference: Reference, size: int) -> bool:
    """Whether each method that trains the encoder can take steps with a batch of `size` images on one worker."""
    try:
        for name, space in spaces.items():
            kind = METHODS[name]
            if issubclass(kind, TrainedMethod):
                for params in costliest(space):
                    take_steps(kind.make(params, reference), train, size)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return False
    finally:
        gc.collect()
        torch.cuda.empty_cache()
    return True


def costliest(space: Space) -> Iterator[Params]:
    """Hyperparameters with the largest of all numbers, and with every one of the words that may be chosen."""
    values = [_largest_or_all(dimension.extremes()) for dimension in space.values()]
    return (dict(zip(space, chosen, strict=True)) for chosen in product(*values))


def _largest_or_all(values: Sequence[Value]) -> Sequence[Value]:
    return values if any(isinstance(value, str) for value in values) else (max(values),)


def take_steps(method: TrainedMethod[Any], train: Train, size: int) -> None:
    """Two steps, so that the second has the optimiser's state; nothing for a method whose encoder is frozen."""
    if not any(p.requires_grad for p in method.classifier.encoder.parameters()):
        return
    reference = method.reference
    item = Draws(method.training_data(reference.dataset.splits()[0]), seed=0)[0, 0]
    batch = {**default_collate([item] * size), **replayed_sample(method, size)}
    stepper = Stepper(method.train(), train, Runtime(reference.device), steps=2)
    for _ in range(2):
        stepper.step(batch, lr_factor=1.0)
