"""Penalties on the distance to the pre-trained weights, written straight into the gradient."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from fpray.methods.base import T, TrainedMethod
from fpray.model import Reference


class PenalisedMethod(TrainedMethod[T]):
    """Full fine-tuning with a penalty on w - w0, encoder and head.

    The head counts too: it is pre-trained as well, since it is made from the text tower. The penalty's gradient is
    added with foreach operations after the backward pass: that costs nothing next to an autograd graph over every
    weight, and with several workers it comes after the gradients were averaged, so it is exact.
    """

    def __init__(self, params: T, reference: Reference) -> None:
        super().__init__(params, reference)
        self._weights: list[Tensor] = list(self.classifier.parameters())
        self._start: list[Tensor] = list(reference.classifier.parameters())

    @abstractmethod
    def add_penalty(self) -> None:
        """Add the penalty's gradient, of `differences`, to `gradients`."""

    def differences(self) -> list[Tensor]:
        """w - w0 of each weight tensor."""
        return list(torch._foreach_sub(self._weights, self._start))

    def gradients(self) -> list[Tensor]:
        """The gradient of each weight tensor; zeros where the losses gave none."""
        gradients = []
        for weight in self._weights:
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
            gradients.append(weight.grad)
        return gradients
