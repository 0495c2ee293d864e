"""The bootstrap of a statistic over the seeds and the images of one draw of the data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fpray.statistics.estimate import Estimate

TIMES = 1000
"""Resamples: the standard error is then known to 2 %."""
ROWS = 200
"""Resamples whose weights of images are in memory at a time."""
Correct = Mapping[str, NDArray[np.bool_] | NDArray[np.floating[Any]]]
"""Whether each image was classified rightly, of each split: [rows, seeds, images], the same rows and seeds in each.
Booleans; or 1, 0 and not a number where an image doesn't count for a row, whatever the seed."""
Accuracies = Mapping[str, NDArray[np.float64]]
"""The accuracy of each row on each split, in per cent, [rows]."""


def by_resampling(
    statistic: Callable[[Accuracies], Mapping[str, float]], correct: Correct, seed: int = 0, times: int = TIMES
) -> dict[str, Estimate]:
    """Numbers that are computed of accuracies, each with the uncertainty that seeds and images leave.

    All rows get the same images, and the same seeds: so what two of them have in common doesn't make their difference
    uncertain. An image's ease, a seed's skill and what is a trial's own on an image are independent effects; the
    variance is that of the images' ease, plus that over seeds, which holds the other two: S / (S - 1) times what the
    bootstrap gives of S seeds. Images that are resampled for each seed apart tell how much is ease. The degrees of
    freedom are Welch's and Satterthwaite's. Of a single seed the variance is all that images make.

    A split is resampled with one image more than it has, which each row gets right or wrong by chance: else an error
    that none of its images shows, as at 100 %, would be impossible. Of a thousand images it says nothing.

    Args:
        statistic: gives numbers by name; one that is not a number in a resample is left out there.
    """
    rng = np.random.default_rng(seed)
    plain = {split: 100 * share(own, (1, 2)) for split, own in correct.items()}
    (seeds,) = {own.shape[1] for own in correct.values()}
    values = statistic(plain)
    shared = {split: [own.mean(axis=1, dtype=np.float32).T] for split, own in correct.items()}  # [images, rows]
    over_images = _spread(statistic, _resampled_images(shared, rng, times))
    if seeds == 1:
        return {name: Estimate(float(values[name]), math.sqrt(over_images[name])) for name in values}
    apart = {split: [own[:, seed].T.astype(np.float32) for seed in range(seeds)] for split, own in correct.items()}
    over_images_apart = _spread(statistic, _resampled_images(apart, rng, times))
    over_seeds = _spread(statistic, _resampled_seeds(correct, rng, times))
    found = {}
    for name, value in values.items():
        images, of_seeds = over_images[name], over_seeds[name] * seeds / (seeds - 1)
        ease = (images - over_images_apart[name]) * seeds / (seeds - 1)
        variance = max(ease, 0.0) + of_seeds
        freedom = variance**2 / (of_seeds**2 / (seeds - 1)) if of_seeds > 0 else math.inf
        found[name] = Estimate(float(value), math.sqrt(variance), freedom)
    return found


def share(correct: NDArray[Any], axes: int | tuple[int, ...]) -> NDArray[np.float64]:
    """The share of images that were classified rightly, of those that count."""
    if correct.dtype == bool:
        return np.asarray(correct.mean(axis=axes))
    return np.asarray(np.nanmean(correct, axis=axes, dtype=np.float64))


def _spread(statistic: Callable[[Accuracies], Mapping[str, float]], resamples: list[Accuracies]) -> dict[str, float]:
    """The variance of each number over resamples."""
    computed = [statistic(accuracies) for accuracies in resamples]
    known = {name: [own[name] for own in computed if math.isfinite(own[name])] for name in computed[0]}
    return {name: float(np.var(values, ddof=1)) if len(values) > 1 else math.nan for name, values in known.items()}


def _resampled_images(
    parts: Mapping[str, list[NDArray[np.float32]]], rng: np.random.Generator, times: int
) -> list[Accuracies]:
    """The accuracies with other images: the mean over a split's parts, [images, rows], which are resampled apart."""
    by_split = {}
    for split, own in parts.items():
        images = len(own[0])
        chances, blocks = np.full(images + 1, 1 / (images + 1)), []
        for first in range(0, times, ROWS):
            size = min(ROWS, times - first)
            shares = []
            for part in own:
                drawn = rng.multinomial(images + 1, chances, size).astype(np.float32)
                unknown = rng.integers(0, 2, (size, part.shape[1]), dtype=np.int8)
                right = drawn[:, :images] @ np.nan_to_num(part) + drawn[:, images:] * unknown
                shares.append(right / _counted(drawn, part))
            blocks.append(100 * np.mean(shares, axis=0))
        by_split[split] = np.concatenate(blocks)
    return [{split: own[number] for split, own in by_split.items()} for number in range(times)]


def _counted(drawn: NDArray[np.float32], part: NDArray[np.float32]) -> NDArray[np.float32] | int:
    """How many of the images that were drawn count for each row, [times, rows], or for all of them."""
    missing = np.isnan(part)
    if not missing.any():
        return len(part) + 1
    return np.asarray(drawn[:, :-1] @ (~missing).astype(np.float32) + drawn[:, -1:])


def _resampled_seeds(correct: Correct, rng: np.random.Generator, times: int) -> list[Accuracies]:
    of_seeds = {split: 100 * share(own, 2) for split, own in correct.items()}  # [rows, seeds]
    (seeds,) = {own.shape[1] for own in of_seeds.values()}
    chosen = rng.integers(0, seeds, (times, seeds))
    return [{split: own[:, some].mean(axis=1) for split, own in of_seeds.items()} for some in chosen]
