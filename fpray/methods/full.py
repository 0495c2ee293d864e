"""Full fine-tuning: encoder and head, cross-entropy alone."""

from __future__ import annotations

from fpray.methods.base import TrainedMethod, TrainedParams
from fpray.methods.published import PublishedAccuracy


class Full(TrainedMethod[TrainedParams]):
    """Fine-tunes everything (the paper's FT; the recipe of WiSE-FT, arXiv 2109.01903).

        loss = CE

    It begins at the pre-trained encoder with its zero-shot head, as all that train do.
    """

    name = "full"
    Params = TrainedParams
    published = (
        PublishedAccuracy(82.83, 57.08, 4, "TRACER, arXiv 2605.29380, Table 2: lr 1e-5"),
        PublishedAccuracy(81.3, 53.7, 5, "ReCalCon, arXiv 2609.06967, its README"),
        PublishedAccuracy(84.27, 58.41, 4, "TPGM, github.com/PotatoTian/TPGM, its README: MAE's recipe"),
    )
