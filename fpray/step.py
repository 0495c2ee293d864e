"""A step: from a batch to changed weights, the same for every method."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fpray.config import Train
from fpray.data.loading import to_device
from fpray.methods import TrainedMethod
from fpray.optimizer import make_optimizer
from fpray.runtime import Runtime


class Stepper:
    """A method with its optimiser, ready to take steps on this worker's share of each batch."""

    def __init__(self, method: TrainedMethod, settings: Train, runtime: Runtime) -> None:
        self.method, self.settings, self.runtime = method, settings, runtime
        self.trained = [p for p in method.parameters() if p.requires_grad]
        self.optimizer = make_optimizer(self.trained, method.params.lr, settings)
        if settings.compile and any(p.requires_grad for p in method.classifier.encoder.parameters()):
            method.classifier.encoder.compile()
        self._losses_of = runtime.parallel(method)

    def step(self, inputs: Tensor, labels: Tensor, lr_factor: float) -> dict[str, Tensor]:
        """Take a step; returns the mean of each loss over the batch.

        Args:
            lr_factor: the learning rate as a share of its peak.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = self.method.params.lr * lr_factor
        self.optimizer.zero_grad(set_to_none=True)
        losses = self._backward(to_device(inputs, self.runtime.device), to_device(labels, self.runtime.device))
        self.method.add_penalty()
        if self.settings.clip_grad_norm is not None:
            nn.utils.clip_grad_norm_(self.trained, self.settings.clip_grad_norm)
        self.optimizer.step()
        self.method.after_step()
        return losses

    def _backward(self, inputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Add up a batch's gradients, `accumulate` parts of it one after another."""
        sums: dict[str, Tensor] = {}
        parts, autocast = self.settings.accumulate, self.settings.autocast
        pairs = list(zip(inputs.chunk(parts), labels.chunk(parts), strict=True))
        for number, (x, y) in enumerate(pairs, start=1):
            share = len(y) / len(labels)
            with self.runtime.averaging(self._losses_of, now=number == len(pairs)):
                with torch.autocast(self.runtime.device.type, autocast, enabled=autocast is not None):
                    losses = self._losses_of(x, y)
                (share * sum(losses.values())).backward()
            for name, loss in losses.items():
                sums[name] = sums.get(name, 0) + share * loss.detach().float()
        return sums
