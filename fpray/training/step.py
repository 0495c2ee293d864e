"""A step: from a batch to changed weights, the same for every method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fpray.config import Train
from fpray.data import Batch
from fpray.errors import UserError
from fpray.methods import Course, TrainedMethod
from fpray.training.fixed import Fixed
from fpray.training.mixing import mixed
from fpray.training.optimizer import PEAK, lr_factors, make_optimizer
from fpray.training.runtime import Runtime


class Stepper:
    """A method with its optimiser, ready to take steps on this worker's share of each batch."""

    def __init__(
        self, method: TrainedMethod[Any], settings: Train, runtime: Runtime, steps: int, fixed: Fixed | None = None
    ) -> None:
        """
        Args:
            steps: the number that the training has in all.
            fixed: knows what the method has fixed of the images; without it, the method computes that in each step.
        """
        self.method, self.settings, self.runtime, self._fixed = method, settings, runtime, fixed
        self.trained = [p for p in method.parameters() if p.requires_grad]
        self.optimizer = make_optimizer(method.groups(), settings)
        self.lr_factors = lr_factors(steps, settings)
        """The learning rate of each step, as a share of its peak."""
        method.begin(Course(self.lr_factors, settings.clip_grad_norm))
        if settings.compiles and any(p.requires_grad for p in method.classifier.encoder.parameters()):
            method.classifier.encoder.compile()
            method.fixed = torch.compile(method.fixed)  # type: ignore[method-assign] # KD's teacher has a pass of its own
        self._losses_of = runtime.parallel(method)

    def step(self, batch: Batch, lr_factor: float) -> dict[str, Tensor]:
        """Take a step; returns the mean of each loss over the batch.

        Args:
            lr_factor: the learning rate as a share of its peak.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = group[PEAK] * lr_factor
        self.optimizer.zero_grad(set_to_none=True)
        reference = self.method.reference
        classes = len(reference.dataset.classes)
        losses = self._backward(mixed(reference.on_device(batch), self.settings.augment, classes))
        self.method.add_penalty()
        if self.settings.clip_grad_norm is not None:
            nn.utils.clip_grad_norm_(self.trained, self.settings.clip_grad_norm)
        self.optimizer.step()
        self.method.after_step(lr_factor)
        return losses

    def _backward(self, batch: Batch) -> dict[str, Tensor]:
        """Add up a batch's gradients, `accumulate` parts of it one after another."""
        sums: dict[str, Tensor] = {}
        parts, autocast = list(cut(batch, self.settings.accumulate)), self.settings.autocast
        for number, part in enumerate(parts, start=1):
            share = size_of(part) / size_of(batch)
            with self.runtime.averaging(self._losses_of, now=number == len(parts)):
                with torch.autocast(self.runtime.device.type, autocast, enabled=autocast is not None):
                    losses = self._losses_of(part if self._fixed is None else self._fixed.added_to(part))
                _require_losses(losses, self.method.name)
                (share * sum(losses.values())).backward()
            for name, loss in losses.items():
                sums[name] = sums.get(name, 0) + share * loss.detach().float()
        return sums


def _require_losses(losses: object, method: str) -> None:
    """
    Raises:
        UserError: if a method gives anything but named scalars.
    """
    named = losses if isinstance(losses, Mapping) else {}
    if not named or not all(isinstance(loss, Tensor) and loss.ndim == 0 for loss in named.values()):
        raise UserError(f"the method '{method}' must give its losses as a mapping of names to scalar tensors")


def cut(batch: Batch, parts: int) -> Iterator[Batch]:
    """The batch in so many parts, as equal as can be, or fewer of a small one: each value along its first dimension."""
    sizes = [len(value) for value in batch.values()]
    if len(set(sizes)) == 1:
        pieces = [value.chunk(parts) for value in batch.values()]
    else:  # what is replayed has a size of its own, and needs as many parts
        pieces = [value.tensor_split(min(parts, *sizes)) for value in batch.values()]
    for values in zip(*pieces, strict=True):
        yield dict(zip(batch, values, strict=True))


def size_of(batch: Batch) -> int:
    """The number of images in a batch, without those that are replayed."""
    return len(next(iter(batch.values())))
