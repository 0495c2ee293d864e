"""Penalties on the distance to the pre-trained weights: how strong they are, and where in a step they act."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Self, TypeVar

import torch
from pydantic import Field, model_validator
from torch import Tensor

from fpray.methods.base import Course, TrainedMethod, TrainedParams
from fpray.model import Reference
from fpray.space import Constant, IfGiven, Log


class PenalisedParams(TrainedParams):
    """The strength of the pull towards the pre-trained weights, without a dimension (kappa) or with one.

    Adam divides a gradient by its size, so what a penalty does depends on the number of weights, the learning rate and
    the number of steps. With the gradient clipped to norm c, one weight's has the size c / sqrt(N), and a penalty moves
    it as far as training does where kappa is about 1; below 0.3 it does next to nothing.
    """

    kappa: Annotated[float | None, Field(ge=0), Log(0.3, 100.0)] = None
    """The strength of the penalty, as a multiple of that at which it begins to hold a weight back; the same for every
    model, learning rate and length."""
    strength: Annotated[float | None, Field(ge=0), IfGiven(in_place_of="kappa")] = None
    """The weight of the penalty beside the cross-entropy, in place of `kappa`."""
    weight_decay: Annotated[float | None, Field(ge=0), Constant(0.0)] = None
    """AdamW's decoupled weight decay, which pulls towards zero and so against the penalty; null for
    `train.weight_decay`."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.kappa is None) == (self.strength is None):
            raise ValueError("give kappa or strength, and not both")
        return self


Q = TypeVar("Q", bound=PenalisedParams)


class PenalisedMethod(TrainedMethod[Q]):
    """Full fine-tuning with a pull on w - w0, encoder and head: before the optimiser's step, in its gradient, or after
    it, straight on the weights.

    The head counts too: it is pre-trained as well, since it is made from the text tower. A penalty's gradient is added
    with foreach operations after the backward pass: that costs nothing next to an autograd graph over every weight,
    and with several workers it comes after the gradients were averaged, so it is exact.
    """

    strength: float
    """The weight of the penalty; of a kappa it is known from `begin` on."""

    def __init__(self, params: Q, reference: Reference) -> None:
        super().__init__(params, reference)
        self._weights: list[Tensor] = list(self.classifier.parameters())
        self._start: list[Tensor] = list(reference.classifier.parameters())
        self.strength = math.nan if params.strength is None else params.strength

    @abstractmethod
    def kappa_of_1(self, course: Course) -> float:
        """The kappa of strength 1 in a training."""

    def begin(self, course: Course) -> None:
        kappa_of_1 = self.kappa_of_1(course)
        if self.params.kappa is None:
            self._implied = {"kappa": self.strength * kappa_of_1}
        else:
            self.strength = self.params.kappa / kappa_of_1
            self._implied = {"strength": self.strength}

    def implied(self) -> Mapping[str, float]:
        """The strength of a kappa, or the kappa of a strength."""
        return self._implied

    def in_units_of_a_gradient(self, course: Course) -> float:
        """The size of one weight's clipped gradient, upside down: sqrt(N) / c, with c = 1 where nothing is clipped."""
        return math.sqrt(sum(weight.numel() for weight in self._weights)) / (course.clip_grad_norm or 1.0)

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
