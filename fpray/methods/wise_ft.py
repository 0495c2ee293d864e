"""WiSE-FT: weights between the pre-trained and a fine-tuned model, w = (1 - alpha) * w0 + alpha * w1."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field
from torch import Tensor

from fpray.methods.base import DerivedMethod, Hyperparameters
from fpray.model import Classifier, load_weights, weights_of
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
        classifier = copy.deepcopy(self.reference.classifier)
        (fine_tuned,) = self.sources
        load_weights(classifier, interpolate(weights_of(classifier), fine_tuned, self.params.alpha))
        return classifier


def interpolate(start: Mapping[str, Tensor], end: Mapping[str, Tensor], alpha: float) -> dict[str, Tensor]:
    """(1 - alpha) * start + alpha * end, key by key; whole-number entries (counters) are the nearer end's."""
    nearer = end if alpha >= 0.5 else start
    return {
        key: ((1 - alpha) * start[key] + alpha * end[key]) if start[key].is_floating_point() else nearer[key]
        for key in start
    }
