"""FTP: after each step, every weight tensor is projected to within a radius of the pre-trained one that it learns."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from fpray.methods.base import TrainedMethod, TrainedParams
from fpray.model import Reference
from fpray.space import Constant

FIRST = 1e-8
"""The radius at the start, and the least one."""
LR, BETAS, EPS = 1e-2, (0.9, 0.999), 1e-8
"""Of the Adam that radii are learned by."""


class FTPParams(TrainedParams):
    """The learning rate, and how fast radii shrink."""

    kappa: Annotated[float, Field(ge=0, le=1), Constant(1.0)]
    """The factor of gradients that would shrink a radius: 1 as they are, 0 lets radii only grow."""
    weight_decay: Annotated[float | None, Field(ge=0), Constant(0.0)] = None
    """AdamW's decoupled weight decay, which pulls towards zero; null for `train.weight_decay`."""


class FTP(TrainedMethod[FTPParams]):
    """Fast trainable projection (arXiv 2310.19182; its code). Each tensor of the encoder has one radius, which Adam
    learns; the head is free.

        loss = CE;  after each step, for each row of w, c = w - w0:  w <- w0 + min(1, gamma / |c|) * c
        the slope of gamma is the sum over the tensor's rows of <g, c> / |c|, times kappa where it is positive

    |c| is the sum of magnitudes; g and c in the slope are those before the step. A vector is one row.
    """

    name = "ftp"
    Params = FTPParams
    radii: Tensor
    moments: Tensor
    steps: Tensor

    def __init__(self, params: FTPParams, reference: Reference) -> None:
        super().__init__(params, reference)
        self._weights = list(self.classifier.encoder.parameters())
        self._start = list(reference.classifier.encoder.parameters())
        number, device = len(self._weights), reference.device
        # Buffers, since a resumed trial goes on with them.
        self.register_buffer("radii", torch.full((number,), FIRST, device=device))
        self.register_buffer("moments", torch.zeros(2, number, device=device))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64, device=device))
        self._directions = []
        for place, start in enumerate(self._start):
            # Of what a step was before it was projected: what is left of it may be too small for fp32.
            self.register_buffer(f"direction_{place}", torch.zeros_like(_rows(start)))
            self._directions.append(self.get_buffer(f"direction_{place}"))

    @torch.no_grad()
    def add_penalty(self) -> None:
        """Let the radii take a step."""
        if not self.steps:
            return  # nothing has moved yet
        gradient = torch.stack([_slope(w, d) for w, d in zip(self._weights, self._directions, strict=True)])
        gradient = torch.where(gradient > 0, self.params.kappa * gradient, gradient)
        for moment, beta, value in zip(self.moments, BETAS, (gradient, gradient.square()), strict=True):
            moment.lerp_(value, 1 - beta)
        first, second = (m / (1 - beta ** int(self.steps)) for m, beta in zip(self.moments, BETAS, strict=True))
        self.radii -= LR * first / (second.sqrt() + EPS)

    @torch.no_grad()
    def after_step(self, lr_factor: float) -> None:
        self.steps += 1
        for number, (weight, start) in enumerate(zip(self._weights, self._start, strict=True)):
            change = _rows(weight - start)
            size = change.abs().sum(dim=1, keepdim=True)
            radius = self.radii[number]
            radius.copy_(torch.minimum(radius, size.max()).clamp_min(FIRST))  # nothing leaves the device
            self._directions[number].copy_(change / size.clamp_min(torch.finfo(size.dtype).tiny))
            weight.copy_(start + (self._directions[number] * size.clamp(max=radius)).view_as(weight))


def _rows(value: Tensor) -> Tensor:
    """A weight as rows, [rows, rest]."""
    return value.reshape(len(value), -1) if value.ndim > 1 else value.reshape(1, -1)


def _slope(weight: Tensor, direction: Tensor) -> Tensor:
    """How the loss changes with the radius: the sum over rows of <g, c> / |c|."""
    return weight.new_zeros(()) if weight.grad is None else (_rows(weight.grad) * direction).sum()
