"""The optimiser: AdamW, with weight decay on all weights or on matrices alone."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from torch.optim import AdamW

from fpray.config import Train
from fpray.methods import Group

PEAK = "peak"
"""The key of a group's peak learning rate."""


def make_optimizer(trained: Iterable[Group], settings: Train) -> AdamW:
    """AdamW over groups of weights.

    With `weight_decay_on: matrices` norms, biases and other vectors don't decay, as in open_clip's training;
    WiSE-FT's recipe lets everything decay.
    """
    least = 2 if settings.weight_decay_on == "matrices" else 0
    groups: list[dict[str, Any]] = []
    for group in trained:
        decay = settings.weight_decay if group.weight_decay is None else group.weight_decay
        decaying = [weight for weight in group.weights if weight.ndim >= least]
        others = [weight for weight in group.weights if weight.ndim < least]
        groups += [
            {"params": weights, "lr": group.lr, PEAK: group.lr, "weight_decay": own}
            for weights, own in ((decaying, decay), (others, 0.0))
            if weights
        ]
    return AdamW(groups, fused=True)  # one pass over the weights instead of ten


def lr_factors(total: int, settings: Train) -> list[float]:
    """The learning rate of each step of a training, as a share of its peak."""
    return [lr_factor(step, total, settings) for step in range(total)]


def lr_factor(step: int, total: int, settings: Train) -> float:
    """The learning rate at a step (from 0), as a share of its peak: linear warm-up, then cosine to 0 or constant.

    Warm-up takes at most a tenth of a short training, so that the peak is reached.
    """
    warmup = min(settings.warmup_steps, total // 10)
    if step < warmup:
        return (step + 1) / warmup
    if settings.schedule == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))
