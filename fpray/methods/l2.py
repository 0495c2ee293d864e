"""L2 penalty: the weights stay near the pre-trained ones, by the sum of the squares of their distances."""

from __future__ import annotations

from typing import Annotated, Literal

import torch

from fpray.methods.base import Course
from fpray.methods.penalty import PenalisedMethod, PenalisedParams
from fpray.methods.published import PublishedAccuracy
from fpray.space import Constant


class L2Params(PenalisedParams):
    """The strength of the penalty, and where it acts."""

    form: Annotated[Literal["coupled", "decoupled"], Constant("coupled")] = "coupled"
    """The place of the penalty: `coupled` adds its gradient to that of the loss, so that Adam scales it; `decoupled`
    takes the share strength * learning rate off w - w0 after the step, as AdamW's weight decay does with w."""


class L2(PenalisedMethod[L2Params]):
    """Sum of squares over encoder and head, no factor 1/2 (L2-SP, arXiv 1802.01483, as LP-FT's code has it).

        coupled:    loss = CE + strength * sum (w - w0)^2
        decoupled:  after each step  w <- w - min(1, lr_t * strength) * (w - w0)
        kappa = k * sum over steps of lr_t;  k = 2 * strength * sqrt(N) / c, decoupled: k = strength

    The text of arXiv 2309.06256 writes a norm without a square; its code squares, with strength * 1e9 * mean. A weight
    that is pulled alone loses the share 1 - exp(-kappa) of its way; N is the number of weights, c the norm that
    gradients are clipped to (1 without).
    """

    name = "l2"
    Params = L2Params
    published = (PublishedAccuracy(82.87, 57.34, 4, "TRACER, arXiv 2605.29380, Table 2"),)

    def kappa_of_1(self, course: Course) -> float:
        scale = 2 * self.in_units_of_a_gradient(course) if self.params.form == "coupled" else 1.0
        return scale * self.params.lr * sum(course.lr_factors)

    @torch.no_grad()
    def add_penalty(self) -> None:
        if self.params.form == "coupled":
            torch._foreach_add_(self.gradients(), self.differences(), alpha=2 * self.strength)

    @torch.no_grad()
    def after_step(self, lr_factor: float) -> None:
        if self.params.form == "decoupled":
            share = min(1.0, self.params.lr * lr_factor * self.strength)
            torch._foreach_sub_(self._weights, self.differences(), alpha=share)
