"""Full fine-tuning: encoder and head, cross-entropy alone."""

from __future__ import annotations

from fpray.methods.base import TrainedMethod, TrainedParams


class Full(TrainedMethod[TrainedParams]):
    """Fine-tunes everything (the paper's FT; the recipe of WiSE-FT, arXiv 2109.01903)."""

    name = "full"
    Params = TrainedParams
