"""SPD: a pull towards the pre-trained weights after a step, where the loss does not mind."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from fpray.methods.base import TrainedMethod, TrainedParams
from fpray.model import Reference
from fpray.space import Constant, Log


class SPDParams(TrainedParams):
    """The strength of the pull."""

    strength: Annotated[float, Field(ge=0), Log(0.1, 10.0)]
    """The pull takes strength * r of w - w0, and at most all of it; r is the share by which a step has made the
    distance grow."""
    weight_decay: Annotated[float | None, Field(ge=0), Constant(0.0)] = None
    """AdamW's decoupled weight decay, which the pull takes the place of; null for `train.weight_decay`."""


class SPD(TrainedMethod[SPDParams]):
    """Selective projection decay (arXiv 2411.01713): what a step has added to a weight tensor's distance is taken back,
    where the way to the pre-trained weights lowers the loss. strength 0 is full fine-tuning.

        loss = CE;  after each step, w~ what Adam's step has made of w, where <g, w - w0> > 0:
        w <- w~ - min(1, strength * r) * (w~ - w0),  r = (|w~ - w0| - |w - w0|) / |w~ - w0|, in [0, 1]

    g is the gradient of the weight tensor w.
    """

    name = "spd"
    Params = SPDParams

    def __init__(self, params: SPDParams, reference: Reference) -> None:
        super().__init__(params, reference)
        self._weights: list[Tensor] = list(self.classifier.parameters())
        self._start: list[Tensor] = list(reference.classifier.parameters())

    @torch.no_grad()
    def add_penalty(self) -> None:
        distances = torch._foreach_sub(self._weights, self._start)
        self._before = torch.stack(torch._foreach_norm(distances))
        inner = [
            (d * w.grad).sum() if w.grad is not None else d.new_zeros(())
            for d, w in zip(distances, self._weights, strict=True)
        ]
        self._selected = torch.stack(inner) > 0

    @torch.no_grad()
    def after_step(self, lr_factor: float) -> None:
        distances = torch._foreach_sub(self._weights, self._start)
        now = torch.stack(torch._foreach_norm(distances))
        share = ((now - self._before) / now.clamp_min(torch.finfo(now.dtype).tiny)).clamp(0, 1)
        pull = (self.params.strength * share * self._selected).clamp(max=1)
        torch._foreach_sub_(self._weights, torch._foreach_mul(distances, list(pull.unbind())))
