"""EMA: the exponential moving average of the weights."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from fpray.methods.averaging import AveragedMethod, ema_shares, momentum_of
from fpray.methods.base import TrainedParams
from fpray.space import IfGiven, Log


class EMAParams(TrainedParams):
    """How far the average reaches back."""

    horizon: Annotated[float | None, Field(gt=0, le=1), Log(0.02, 1.0)] = None
    """The steps that the average reaches back, 1 / (1 - momentum), as a share of the training; the same for every
    length."""
    momentum: Annotated[float | None, Field(ge=0, lt=1), IfGiven(in_place_of="horizon")] = None
    """The share of the average that a step leaves, in place of `horizon`; published ones are 0.999 (R-Adapter) to
    0.9999."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.horizon is None) == (self.momentum is None):
            raise ValueError("give horizon or momentum, and not both")
        return self


class EMA(AveragedMethod[EMAParams]):
    """Leaves the average of the weights behind.

        loss = CE;  average <- m * average + (1 - m) * w after each step, m = 1 - 1 / (horizon * steps)

    The average begins at the pre-trained weights, and is what is validated, too.
    """

    name = "ema"
    Params = EMAParams

    def shares(self, steps: int) -> list[float]:
        momentum, horizon = self.params.momentum, self.params.horizon
        return ema_shares(momentum_of(horizon, steps) if horizon is not None else momentum or 0.0, steps)
