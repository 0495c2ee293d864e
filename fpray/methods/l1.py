"""L1 penalty towards the pre-trained weights: loss + strength * sum |w - w0|."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field

from fpray.methods.base import TrainedParams
from fpray.methods.penalty import PenalisedMethod
from fpray.space import Log


class L1Params(TrainedParams):
    """The weight of the penalty."""

    strength: Annotated[float, Field(ge=0), Log(1e-7, 1e-3)]
    """The weight of the penalty, beside the cross-entropy."""


class L1(PenalisedMethod[L1Params]):
    """Sum of absolute differences over encoder and head, no factor 1/2 (arXiv 2309.06256, text of the method).

    The authors' code has strength * 1e5 * mean |w - w0| instead: divide by the number of weights to convert.
    """

    name = "l1"
    Params = L1Params

    @torch.no_grad()
    def add_penalty(self) -> None:
        signs = torch._foreach_sign(self.differences())
        torch._foreach_add_(self.gradients(), signs, alpha=self.params.strength)
