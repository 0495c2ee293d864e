"""Claims, several at a time: what their numbers amount to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from fpray.statistics.estimate import Estimate

Verdict = Literal["seen", "not seen", "equivalent", "undecided"]
"""Of a claim that a difference is above 0: it is, it is below, it is as good as none, or nobody knows."""
LEVEL = 0.05
"""The share of wrong claims that is put up with, over all claims of a table."""


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values, raised so that each may be held against a level that all together keep (Holm 1979)."""
    order = np.argsort(p_values)
    raised = np.maximum.accumulate(np.sort(p_values) * (len(p_values) - np.arange(len(p_values))))
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(raised, 1.0)
    return [float(p) for p in adjusted]


def verdict(difference: Estimate, p: float, margin: float) -> Verdict:
    """What is known of a claim that a difference is above 0.

    Args:
        p: its p-value, corrected for the other claims.
        margin: up to which a difference is none.
    """
    if p <= LEVEL:
        return "seen" if difference.value > 0 else "not seen"
    return "equivalent" if difference.p_of_more_than(margin) <= LEVEL else "undecided"
