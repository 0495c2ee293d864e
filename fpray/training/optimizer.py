"""The optimiser: AdamW, with weight decay on all weights or on matrices alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn
from torch.optim import AdamW

from fpray.config import Train


def make_optimizer(weights: Sequence[nn.Parameter], lr: float, settings: Train) -> AdamW:
    """AdamW over the weights that are trained.

    With `weight_decay_on: matrices` norms, biases and other vectors don't decay, as in open_clip's training;
    WiSE-FT's recipe lets everything decay.
    """
    least = 2 if settings.weight_decay_on == "matrices" else 0
    groups = [
        {"params": [w for w in weights if w.ndim >= least], "weight_decay": settings.weight_decay},
        {"params": [w for w in weights if w.ndim < least], "weight_decay": 0.0},
    ]
    # Fused: one pass over the weights instead of ten.
    return AdamW([group for group in groups if group["params"]], lr=lr, fused=True)


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
