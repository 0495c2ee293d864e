"""WiSE-FT: weights between the pre-trained and a fine-tuned model, w = (1 - alpha) * w0 + alpha * w1."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from fpray.methods.base import DerivedMethod, Hyperparameters
from fpray.model import Classifier, averaged
from fpray.space import Uniform


class WiseFTParams(Hyperparameters):
    """The share of the fine-tuned weights."""

    alpha: Annotated[float, Field(ge=0, le=1), Uniform(0.0, 1.0)]
    """The share of the fine-tuned weights: 0 is the pre-trained model, 1 the fine-tuned one."""


class WiseFT(DerivedMethod[WiseFTParams]):
    """Interpolates every weight of encoder and head (arXiv 2109.01903); trains nothing.

    alpha 0 is the pre-trained model, 1 the fine-tuned one. The weights of its only source are w1.
    """

    name = "wise_ft"
    builds_on = ("full",)
    Params = WiseFTParams

    def plain(self) -> Classifier:
        (fine_tuned,) = self.sources
        return averaged(self.reference.classifier, fine_tuned, self.params.alpha)
