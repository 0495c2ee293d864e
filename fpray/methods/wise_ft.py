"""WiSE-FT: weights between the pre-trained and a fine-tuned model."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from fpray.methods.base import DerivedMethod, Hyperparameters
from fpray.methods.published import PublishedAccuracy
from fpray.model import Classifier, averaged
from fpray.space import Uniform


class WiseFTParams(Hyperparameters):
    """The share of the fine-tuned weights."""

    alpha: Annotated[float, Field(ge=0, le=1), Uniform(0.0, 1.0)]
    """The share of the fine-tuned weights: 0 is the pre-trained model, 1 the fine-tuned one."""


class WiseFT(DerivedMethod[WiseFTParams]):
    """Interpolates every weight of encoder and head (arXiv 2109.01903); trains nothing.

        w = (1 - alpha) * w0 + alpha * w1

    alpha 0 is the pre-trained model, 1 the fine-tuned one. The weights of its only source are w1.
    """

    name = "wise_ft"
    builds_on = ("full",)
    Params = WiseFTParams
    published = (
        PublishedAccuracy(81.7, 63.0, 5, "R-Adapter, ECCV 2024, by a note on it: alpha 0.5"),
        PublishedAccuracy(82.4, 58.8, 5, "ReCalCon, arXiv 2609.06967, its README: an alpha of their choice"),
        PublishedAccuracy(82.16, 65.68, 4, "TPGM, github.com/PotatoTian/TPGM, its README: alpha 0.5, MAE's recipe"),
    )

    def plain(self) -> Classifier:
        (fine_tuned,) = self.sources
        return averaged(self.reference.classifier, fine_tuned, self.params.alpha)
