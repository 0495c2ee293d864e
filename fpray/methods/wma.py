"""WMA: the average of the weights over the whole training, weighed by a Beta distribution."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from fpray.methods.averaging import AveragedMethod, beta_shares
from fpray.methods.base import TrainedParams
from fpray.space import Constant


class WMAParams(TrainedParams):
    """The form of the distribution."""

    beta: Annotated[float, Field(gt=0), Constant(0.5)]
    """Both parameters of the Beta distribution: below 1 the first and the last weights count most, 1 is the plain
    mean."""


class WMA(AveragedMethod[WMAParams]):
    """Leaves the average of the weights after all steps behind, the pre-trained ones as step 0 (as CLIPood does, arXiv
    2302.00864).

        loss = CE;  the weights after step t of T count with the density of Beta(beta, beta) at (t + 1/2) / (T + 1)
    """

    name = "wma"
    Params = WMAParams

    def shares(self, steps: int) -> list[float]:
        return beta_shares(self.params.beta, steps)
