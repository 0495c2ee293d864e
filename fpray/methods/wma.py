"""WMA: the average of the weights over the whole training, weighed by a Beta distribution."""

from __future__ import annotations

from itertools import accumulate
from typing import Annotated

from pydantic import Field

from fpray.methods.averaging import AveragedMethod
from fpray.methods.base import TrainedParams
from fpray.space import Constant


class WMAParams(TrainedParams):
    """The form of the distribution."""

    beta: Annotated[float, Field(gt=0), Constant(0.5)]
    """Both parameters of the Beta distribution: below 1 the first and the last weights count most, 1 is the plain
    mean."""


class WMA(AveragedMethod[WMAParams]):
    """The weights after step t of T count by the density of Beta(beta, beta) at (t + 1/2) / (T + 1), the pre-trained
    ones as step 0 (CLIPood, arXiv 2302.00864; its code)."""

    name = "wma"
    Params = WMAParams

    def shares(self, steps: int) -> list[float]:
        places = [(step + 0.5) / (steps + 1) for step in range(steps + 1)]
        density = [(place * (1 - place)) ** (self.params.beta - 1) for place in places]
        return [own / so_far for own, so_far in list(zip(density, accumulate(density), strict=True))[1:]]
