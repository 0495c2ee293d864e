"""WiSE-FT: weights between the pre-trained and a fine-tuned model, w = (1 - alpha) * w0 + alpha * w1."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field
from torch import Tensor

from fpray.methods.base import Derived, DerivedMethod
from fpray.model import Classifier, load_weights, weights_of
from fpray.space import Uniform


class WiseFT(DerivedMethod):
    """Interpolates every weight of encoder and head (arXiv 2109.01903); trains nothing.

    alpha 0 is the pre-trained model, 1 the fine-tuned one. The weights of the `source` trial are w1.
    """

    name = "wise_ft"
    builds_on = ("full",)

    class Params(Derived):
        alpha: Annotated[float, Field(ge=0, le=1), Uniform(0.0, 1.0)]

    def plain(self) -> Classifier:
        classifier = copy.deepcopy(self.reference.classifier)
        load_weights(classifier, interpolate(weights_of(classifier), self.source, self.params.alpha))
        return classifier


def interpolate(start: Mapping[str, Tensor], end: Mapping[str, Tensor], alpha: float) -> dict[str, Tensor]:
    """(1 - alpha) * start + alpha * end, key by key; whole-number entries (counters) are the nearer end's."""
    nearer = end if alpha >= 0.5 else start
    return {
        key: ((1 - alpha) * start[key] + alpha * end[key]) if start[key].is_floating_point() else nearer[key]
        for key in start
    }
