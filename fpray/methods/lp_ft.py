"""LP-FT: full fine-tuning that starts from the head of a linear probe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from fpray.methods.base import TrainedMethod, TrainedParams
from fpray.methods.published import PublishedAccuracy


class LPFTParams(TrainedParams):
    """The learning rate of the second phase."""


class LPFT(TrainedMethod[LPFTParams]):
    """A linear probe, then encoder and head by cross-entropy (arXiv 2202.10054).

        loss = CE, from w0 in the encoder and the probe's head on

    A head that fits before the encoder moves distorts the features less. The probe is the one of the sweep's linear
    probes with the highest ID validation accuracy (`search.objectives`' first).
    """

    name = "lp_ft"
    Params = LPFTParams
    builds_on = ("linear_probe",)
    takes = "best"
    published = (
        PublishedAccuracy(82.14, 59.38, 4, "TRACER, arXiv 2605.29380, Table 2"),
        PublishedAccuracy(82.44, 59.91, 5, "TRACER, arXiv 2605.29380, Table 1, whose row differs from Table 2's"),
        PublishedAccuracy(81.7, 58.7, 5, "ReCalCon, arXiv 2609.06967, its README"),
    )

    @torch.no_grad()
    def take_sources(self, weights: Sequence[Mapping[str, Tensor]]) -> None:
        (probe,) = weights
        self.classifier.head.weight.copy_(probe["head.weight"])
        self.classifier.head.bias.copy_(probe["head.bias"])
