"""DiGraP (arXiv 2502.15895), with a fixed omega: the part of a gradient that leads away from the pre-trained weights.

With g the gradient of a weight tensor and d = w - w0: where <g, d> < 0, a step by -g leads further away from w0, and
g <- g - omega * <g, d> / |d|^2 * d takes that part of it out, for omega = 1 all of it.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field

from fpray.methods import TrainedMethod, TrainedParams
from fpray.space import Uniform


class DiGraPParams(TrainedParams):
    """The learning rate, and how much is taken out."""

    omega: Annotated[float, Field(ge=0, le=1), Uniform(0.0, 1.0)]
    """The share that is taken out of what leads away from the pre-trained weights."""


class DiGraP(TrainedMethod[DiGraPParams]):
    """Full fine-tuning whose gradients lead away from the pre-trained weights by a share less."""

    name = "digrap"
    Params = DiGraPParams

    @torch.no_grad()
    def add_penalty(self) -> None:
        start = self.reference.classifier.parameters()
        for weight, before in zip(self.classifier.parameters(), start, strict=True):
            away = weight - before
            inner, size = (weight.grad * away).sum(), away.square().sum()
            if inner < 0 < size:
                weight.grad -= self.params.omega * inner / size * away
