"""Intervals in closed form, to hold fpray's against."""

from __future__ import annotations


def wilson(correct: int, total: int) -> float:
    """Half the width of Wilson's 95 % interval of a share, in per cent: also right where it is 0 or 1."""
    z, share = 1.96, correct / total
    return 100 * z / (1 + z**2 / total) * (share * (1 - share) / total + z**2 / (4 * total**2)) ** 0.5
