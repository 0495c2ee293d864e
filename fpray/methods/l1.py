"""L1 penalty: the weights stay near the pre-trained ones, by the sum of their distances."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
import torch.nn.functional as F

from fpray.methods.base import Course
from fpray.methods.penalty import PenalisedMethod, PenalisedParams
from fpray.space import Constant


class L1Params(PenalisedParams):
    """The strength of the penalty, and where it acts."""

    form: Annotated[Literal["coupled", "proximal"], Constant("coupled")] = "coupled"
    """The place of the penalty: `coupled` adds its gradient to that of the loss, so that Adam scales it and no weight
    comes to rest; `proximal` moves each weight by strength * learning rate after the step, and w0 is where it stops."""


class L1(PenalisedMethod[L1Params]):
    """Sum of absolute differences over encoder and head, no factor 1/2 (arXiv 2309.06256, text of the method).

        coupled:   loss = CE + strength * sum |w - w0|
        proximal:  after each step, d = w - w0, r = lr_t * strength:  w <- w0 + sign(d) * max(|d| - r, 0)
        kappa = 2 k sqrt(sum over steps of (lr_t / lr)^2);  k = strength * sqrt(N) / c, proximal: k = strength

    The authors' code has strength * 1e5 * mean |w - w0| instead: divide by the number of weights to convert.
    kappa is a steady drift against a random walk; N is the number of weights, c the norm that gradients are clipped
    to (1 without).
    """

    name = "l1"
    Params = L1Params

    def kappa_of_1(self, course: Course) -> float:
        scale = self.in_units_of_a_gradient(course) if self.params.form == "coupled" else 1.0
        return 2 * scale * math.sqrt(sum(factor**2 for factor in course.lr_factors))

    @torch.no_grad()
    def add_penalty(self) -> None:
        if self.params.form == "coupled":
            torch._foreach_add_(self.gradients(), torch._foreach_sign(self.differences()), alpha=self.strength)

    @torch.no_grad()
    def after_step(self, lr_factor: float) -> None:
        reach = self.params.lr * lr_factor * self.strength
        if self.params.form == "proximal" and reach > 0:  # at 0 it would change last bits
            # From w0 on, so that a weight within reach of it is there to the last bit.
            shrunk = [F.softshrink(difference, reach) for difference in self.differences()]
            torch._foreach_copy_(self._weights, torch._foreach_add(self._start, shrunk))
