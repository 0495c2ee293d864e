"""`batch_size: auto`: the largest batch with which every method of a sweep can take steps."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from itertools import product

import torch

from fpray.config import Sweep
from fpray.memory import is_out_of_memory
from fpray.methods import METHODS, TrainedMethod
from fpray.reference import Reference
from fpray.runtime import Runtime
from fpray.space import Params, Space, Value
from fpray.step import Stepper
from fpray.trial import reference_of

SHARE = 0.9
"""Of the memory that a trial has: evaluation, several workers' buffers and fragmentation need some too."""
MOST = 4096
"""The largest batch that is tried for one worker."""


def fitting_batch_size(sweep: Sweep, device: torch.device) -> int:
    """The largest batch size that fits every model, a power of two for each worker; 0 if not even one image does."""
    if device.type == "cuda":
        # Where trials share a GPU, the rest of it is another's.
        torch.cuda.set_per_process_memory_fraction(SHARE * sweep.resources.gpus, device)
    return sweep.resources.workers * min(_fitting(sweep, reference_of(m, sweep, device)) for m in sweep.model.each())


def _fitting(sweep: Sweep, reference: Reference) -> int:
    images = len(reference.dataset.images(reference.dataset.splits()[0]))
    return largest(lambda size: fits(sweep, reference, size), limit=min(images, MOST))


def largest(fits: Callable[[int], bool], limit: int) -> int:
    """The largest power of two, at most `limit`, up to which every one fits; 0 if 1 does not."""
    size = 0
    while (larger := max(1, 2 * size)) <= limit and fits(larger):
        size = larger
    return size


def fits(sweep: Sweep, reference: Reference, size: int) -> bool:
    """Whether each method that trains the encoder can take steps with a batch of `size` images on one worker."""
    try:
        for name, settings in sweep.methods.chosen().items():
            if issubclass(METHODS[name], TrainedMethod):
                for params in costliest(settings.space()):
                    take_steps(METHODS[name](METHODS[name].Params.model_validate(params), reference), sweep, size)
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


def take_steps(method: TrainedMethod, sweep: Sweep, size: int) -> None:
    """Two steps, so that the second has the optimiser's state; nothing for a method whose encoder is frozen."""
    if not any(p.requires_grad for p in method.classifier.encoder.parameters()):
        return
    reference = method.reference
    images, labels = torch.zeros(size, 3, *reference.loaded.image_size), torch.zeros(size, dtype=torch.long)
    stepper = Stepper(method.train(), sweep.train, Runtime(reference.device))
    for _ in range(2):
        stepper.step(images, labels, lr_factor=1.0)
