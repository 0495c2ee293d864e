"""The geometry of ID and OOD accuracy: points are (ID, OOD), [points, 2], both to be maximised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from math import comb
from typing import TypeVar

import moocore
import numpy as np
from numpy.typing import ArrayLike, NDArray

T = TypeVar("T")
MOST_SUBSETS = 500
"""Above so many subsets a mean over all of them is one over so many at random."""


def is_on_front(points: ArrayLike) -> NDArray[np.bool_]:
    """Which points no other beats in both; of equal points each is on it."""
    if not len(np.atleast_2d(points)) or not np.size(points):
        return np.zeros(0, dtype=bool)
    return np.asarray(moocore.is_nondominated(np.asarray(points, dtype=float), maximise=True, keep_weakly=True))


def hypervolume(points: ArrayLike, reference_point: tuple[float, float]) -> float:
    """The area between a reference point and the points; what isn't above it in both adds nothing."""
    if not np.size(points):
        return 0.0
    return float(moocore.hypervolume(np.asarray(points, dtype=float), ref=reference_point, maximise=True))


def mean_over_subsets(value: Callable[[list[T]], float], of: Sequence[T], size: int, seed: int = 0) -> float:
    """The mean of a value over the subsets of one size: what something with more would have reached with fewer."""
    if size >= len(of):
        return value(list(of))
    if comb(len(of), size) <= MOST_SUBSETS:
        return float(np.mean([value(list(subset)) for subset in combinations(of, size)]))
    rng = np.random.default_rng(seed)
    drawn = [rng.choice(len(of), size, replace=False).tolist() for _ in range(MOST_SUBSETS)]
    return float(np.mean([value([of[n] for n in subset]) for subset in drawn]))


def ood_at_id(points: ArrayLike, at: float) -> float:
    """The OOD accuracy at an ID accuracy, on the line from each point to the next in the order of ID accuracy.

    Below the lowest ID accuracy it is that point's, whose ID accuracy is more than was asked for; above the highest it
    is not a number.
    """
    points = np.asarray(points, dtype=float)
    points = points[np.argsort(points[:, 0], kind="stable")]
    return float(np.interp(at, points[:, 0], points[:, 1], right=np.nan))


def attainment(runs: Sequence[ArrayLike], share: float) -> NDArray[np.float64]:
    """The surface that a share of the runs (seeds) attains, by ID accuracy: its corners, [corners, 2]."""
    stacked = np.concatenate([np.asarray(run, dtype=float) for run in runs])
    of_run = np.repeat(np.arange(len(runs)), [len(np.asarray(run)) for run in runs])
    surface = moocore.eaf(-stacked, of_run, percentiles=[100 * share])  # which minimises
    corners = -np.asarray(surface)[:, :2]
    return corners[np.argsort(corners[:, 0])]
