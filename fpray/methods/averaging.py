"""Averages of the weights over a training, which are validated and left behind in place of the last ones."""

from __future__ import annotations

import copy
from abc import abstractmethod
from typing import TypeVar

import torch
from torch import Tensor, nn

from fpray.methods.base import Course, TrainedMethod, TrainedParams
from fpray.model import Classifier, Reference, interpolate

A = TypeVar("A", bound=TrainedParams)
M = TypeVar("M", bound=nn.Module)


class AveragedMethod(TrainedMethod[A]):
    """Full fine-tuning that leaves behind the average of its weights, which starts at the pre-trained ones:
    average <- (1 - share) * average + share * w after each step."""

    average: Classifier
    steps: Tensor

    def __init__(self, params: A, reference: Reference) -> None:
        super().__init__(params, reference)
        # Of buffers alone: a resumed trial goes on with them, and no optimiser knows them.
        self.average = with_buffers(copy.deepcopy(reference.classifier))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @abstractmethod
    def shares(self, steps: int) -> list[float]:
        """The share of each step's weights, of a training of so many steps."""

    def begin(self, course: Course) -> None:
        self._shares = self.shares(len(course.lr_factors))

    def train(self, mode: bool = True) -> AveragedMethod[A]:
        super().train(mode)
        self.average.eval()
        return self

    def after_step(self, lr_factor: float) -> None:
        interpolate(self.average, self.classifier, self._shares[int(self.steps)], into=self.average)
        self.steps += 1

    def current(self) -> Classifier:
        return self.average

    def plain(self) -> Classifier:
        plain = copy.deepcopy(self.reference.classifier)
        plain.load_state_dict(self.average.state_dict())
        return plain


def with_buffers(module: M) -> M:
    """A module whose weights are buffers, under the same keys."""
    for part in module.modules():
        for name, weight in list(part.named_parameters(recurse=False)):
            delattr(part, name)
            part.register_buffer(name, weight.detach())
    return module
