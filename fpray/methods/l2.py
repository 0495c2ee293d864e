"""L2 penalty towards the pre-trained weights: loss + strength * sum (w - w0)^2."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field

from fpray.methods.base import TrainedParams
from fpray.methods.penalty import PenalisedMethod
from fpray.space import Log


class L2Params(TrainedParams):
    """The weight of the penalty."""

    strength: Annotated[float, Field(ge=0), Log(1e-4, 2.0)]
    """The weight of the penalty, beside the cross-entropy."""


class L2(PenalisedMethod[L2Params]):
    """Sum of squares over encoder and head, no factor 1/2 (L2-SP, arXiv 1802.01483, as LP-FT's code has it).

    The text of arXiv 2309.06256 writes a norm without a square; its code squares, with strength * 1e9 * mean.
    """

    name = "l2"
    Params = L2Params

    @torch.no_grad()
    def add_penalty(self) -> None:
        torch._foreach_add_(self.gradients(), self.differences(), alpha=2 * self.params.strength)
