"""`batch_size: auto`: the largest batch with which every method of a sweep can take steps."""

from __future__ import annotations

from collections.abc import Callable

import torch

from fpray.config import Sweep
from fpray.memory import is_out_of_memory
from fpray.methods import METHODS, TrainedMethod
from fpray.reference import Reference
from fpray.runtime import Runtime
from fpray.step import Stepper
from fpray.trial import reference_of


def fitting_batch_size(sweep: Sweep, device: torch.device) -> int:
    """The largest batch size that fits every model, a power of two for each worker; 0 if not even one image does."""
    if device.type == "cuda":
        # Where trials share a GPU, the rest of it is another's.
        torch.cuda.set_per_process_memory_fraction(min(1.0, sweep.resources.gpus), device)
    return sweep.resources.workers * min(_fitting(sweep, reference_of(m, sweep, device)) for m in sweep.model.each())


def _fitting(sweep: Sweep, reference: Reference) -> int:
    images = len(reference.dataset.images(reference.dataset.splits()[0]))
    return largest(lambda size: fits(sweep, reference, size), limit=images)


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
                params = {key: dimension.extremes()[-1] for key, dimension in settings.space().items()}
                take_steps(METHODS[name](METHODS[name].Params.model_validate(params), reference), sweep, size)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return False
    finally:
        torch.cuda.empty_cache()
    return True


def take_steps(method: TrainedMethod, sweep: Sweep, size: int) -> None:
    """Two steps, so that the second has the optimiser's state; nothing for a method whose encoder is frozen."""
    if not any(p.requires_grad for p in method.classifier.encoder.parameters()):
        return
    reference = method.reference
    image, label = reference.augmented(reference.dataset.splits()[0])[0]
    images, labels = image.expand(size, *image.shape), torch.full((size,), label)
    stepper = Stepper(method.train(), sweep.train, Runtime(reference.device))
    for _ in range(2):
        stepper.step(images, labels, lr_factor=1.0)
