"""Measures beside accuracy, from what a trial said of each image; nothing is evaluated for them.

Accuracies are in per cent, as everywhere. OOD is the plain mean of the domains.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from fpray.records import ImageResults

BINS = 10
"""Of the calibration error, as CaRot and TRACER have it; others take 15."""
IMAGENET_LINE = (1.044, -1.892)
"""Slope and intercept, on logit axes, of the mean accuracy on ImageNet-V2, -R, -A, -Sketch and ObjectNet against that
on ImageNet, of 80 models trained on ImageNet alone (least squares over modestyachts/imagenet-testbed at 0170eec)."""


def macro_accuracy(images: ImageResults) -> float:
    """The mean of the classes' accuracies: of uneven classes each counts as much."""
    return 100 * float(np.mean([images.correct[images.labels == label].mean() for label in np.unique(images.labels)]))


def calibration_error(images: ImageResults, weights: NDArray[np.int64] | None = None) -> float:
    """The expected calibration error, in [0, 1]: |accuracy - confidence| in bins of equal width, weighed by the images
    in them (Guo et al. 2017, L1). Unreadable images are left out.

    Args:
        weights: how often each image counts; once by default.
    """
    known = ~np.isnan(images.confidences)
    confidences, correct = images.confidences[known].astype(float), images.correct[known]
    often = np.ones(len(confidences)) if weights is None else weights[known].astype(float)
    bins = np.minimum((confidences * BINS).astype(int), BINS - 1)
    return float(np.abs(np.bincount(bins, often * (correct - confidences))).sum() / often.sum())


def loss(images: ImageResults) -> float:
    """The mean cross-entropy (NLL). Unreadable images are left out."""
    return float(np.nanmean(images.losses.astype(float)))


def harmonic_mean(first: float, second: float) -> float:
    """2ab / (a + b)."""
    return 2 * first * second / (first + second) if first + second else 0.0


def effective_robustness(id_accuracy: float, ood_accuracy: float) -> float:
    """How far the mean over ImageNet's five shifts lies above `IMAGENET_LINE`, in points (WiSE-FT, Taori et al. 2020).

    For other data there is no line of models trained on it alone: compare with full fine-tuning at equal ID instead.
    """
    return ood_accuracy - expected_of_imagenet(id_accuracy)


def expected_of_imagenet(id_accuracy: float) -> float:
    """The mean accuracy over ImageNet's five shifts that `IMAGENET_LINE` has for an accuracy on ImageNet."""
    slope, intercept = IMAGENET_LINE
    share = min(max(id_accuracy / 100, 1e-6), 1 - 1e-6)
    return 100 / (1 + math.exp(-(slope * math.log(share / (1 - share)) + intercept)))


def measures_of(
    images: Mapping[str, ImageResults], reference: Mapping[str, ImageResults] | None = None, part: str = "test"
) -> dict[str, float]:
    """The measures of a trial: `id/ECE`, `ood/ECE`, `ood/worst`, `retention` (the mean accuracy on the data sets of
    other classes, where there are any) and so on.

    Args:
        images: of each split.
        reference: of the zero-shot trial on the same draw; without it, what is compared with it is left out.
    """
    ids = images[f"id/{part}"]
    ood = {name: own for name, own in images.items() if name.startswith("ood/") and name.endswith(f"/{part}")}
    found: dict[str, float] = {}
    for name, measure in {"macro": macro_accuracy, "ECE": calibration_error, "NLL": loss}.items():
        found |= {f"id/{name}": measure(ids), f"ood/{name}": _mean(measure, ood)}
    accuracies = {name: 100 * float(own.correct.mean()) for name, own in ood.items()}
    mean = float(np.mean(list(accuracies.values())))
    found |= {"ood/worst": min(accuracies.values()), "harmonic": harmonic_mean(100 * float(ids.correct.mean()), mean)}
    if others := [100 * float(own.correct.mean()) for name, own in images.items() if name.startswith("retention/")]:
        found["retention"] = float(np.mean(others))
    if reference is not None:
        for key, splits in (("id", [f"id/{part}"]), ("ood", list(ood))):
            found |= {f"{key}/{name}": value for name, value in agreement(images, reference, splits).items()}
    return found


def agreement(
    images: Mapping[str, ImageResults], reference: Mapping[str, ImageResults], splits: list[str]
) -> dict[str, float]:
    """The shares of images, in per cent, that the reference and the trial both get right (`kept`), that the trial has
    lost and that it has won: the mean over splits."""
    both = [(reference[split].correct, images[split].correct) for split in splits]

    def share(marks: Callable[[NDArray[np.bool_], NDArray[np.bool_]], NDArray[np.bool_]]) -> float:
        return 100 * float(np.mean([marks(before, now).mean() for before, now in both]))

    return {
        "kept": share(lambda before, now: before & now),
        "lost": share(lambda before, now: before & ~now),
        "won": share(lambda before, now: ~before & now),
    }


def _mean(measure: Callable[[ImageResults], float], splits: Mapping[str, ImageResults]) -> float:
    return float(np.mean([measure(own) for own in splits.values()]))
