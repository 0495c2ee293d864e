"""Averages of the weights over a training: what is left behind, or what teaches."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Sequence
from itertools import accumulate
from typing import TypeVar

import torch
from torch import Tensor, nn

from fpray.methods.base import Course, TrainedMethod, TrainedParams
from fpray.model import Classifier, Reference, interpolate

M = TypeVar("M", bound=nn.Module)


class Average(nn.Module):
    """A classifier's average over the steps of a training, which starts at the pre-trained weights:
    average <- (1 - share) * average + share * w after each step.

    It is of buffers alone: a resumed trial goes on with them, and no optimiser knows them.
    """

    classifier: Classifier
    steps: Tensor

    def __init__(self, reference: Reference) -> None:
        super().__init__()
        self.classifier = with_buffers(copy.deepcopy(reference.classifier))
        # Where the weights are: several workers share buffers, which NCCL does on the GPU alone.
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64, device=reference.device))
        self.shares: Sequence[float] = ()
        """The share of each step's weights."""

    def train(self, mode: bool = True) -> Average:
        """Stay as it is for evaluation, whatever the method is."""
        return super().train(False)

    def update(self, classifier: Classifier) -> None:
        """Take in the weights after a step."""
        interpolate(self.classifier, classifier, self.shares[int(self.steps)], into=self.classifier)
        self.steps += 1


def ema_shares(momentum: float, steps: int) -> list[float]:
    """Of an exponential moving average: 1 - momentum for each step."""
    return [1 - momentum] * steps


def momentum_of(horizon: float, steps: int) -> float:
    """The momentum of an average that reaches back over a share of so many steps."""
    return 1 - min(1.0, 1 / (horizon * steps))


def beta_shares(beta: float, steps: int) -> list[float]:
    """Of an average that weighs the weights after step t of T by the density of Beta(beta, beta) at
    (t + 1/2) / (T + 1), the pre-trained ones as step 0 (CLIPood, arXiv 2302.00864; its code)."""
    places = [(step + 0.5) / (steps + 1) for step in range(steps + 1)]
    density = [(place * (1 - place)) ** (beta - 1) for place in places]
    return [own / so_far for own, so_far in list(zip(density, accumulate(density), strict=True))[1:]]


A = TypeVar("A", bound=TrainedParams)


class AveragedMethod(TrainedMethod[A]):
    """Full fine-tuning that validates and leaves behind the average of its weights."""

    def __init__(self, params: A, reference: Reference) -> None:
        super().__init__(params, reference)
        self.average = Average(reference)

    @abstractmethod
    def shares(self, steps: int) -> list[float]:
        """The share of each step's weights, of a training of so many steps."""

    def begin(self, course: Course) -> None:
        self.average.shares = self.shares(len(course.lr_factors))

    def after_step(self, lr_factor: float) -> None:
        self.average.update(self.classifier)

    def current(self) -> Classifier:
        return self.average.classifier

    def plain(self) -> Classifier:
        plain = copy.deepcopy(self.reference.classifier)
        plain.load_state_dict(self.average.classifier.state_dict())
        return plain


def with_buffers(module: M) -> M:
    """A module whose weights are buffers, under the same keys."""
    for part in module.modules():
        for name, weight in list(part.named_parameters(recurse=False)):
            delattr(part, name)
            part.register_buffer(name, weight.detach())
    return module
