"""The curve of a trained trial: its weights averaged with the reference's, as WiSE-FT does, by alpha.

The ends are known: at 0 it is the zero-shot classifier, at 1 the trained one. Between them each point costs its forward
passes over the validation images. The test images of a point are evaluated
when all trials have ended, if it is on a front then (`fpray/training/point.py`).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch

from fpray.model import Classifier, Reference, interpolate
from fpray.records import CurvePoint
from fpray.training.evaluate import Evaluator, Predictions
from fpray.training.runtime import Runtime


def curve_of(
    trained: Classifier,
    alphas: int,
    last: Mapping[str, Predictions],
    reference: Reference,
    runtime: Runtime,
    autocast: torch.dtype | None,
) -> tuple[CurvePoint, ...]:
    """The validation accuracies at so many alphas from 0 to 1, evenly spaced.

    Args:
        last: the trained classifier's predictions on the validation splits, and on others maybe.
    """
    splits = [split for split in reference.dataset.splits() if split.part == "val"]
    evaluator = Evaluator(reference, splits, runtime, autocast)
    between = _beside(trained, reference)
    points = []
    for alpha in (number / (alphas - 1) for number in range(alphas)):
        if alpha == 1:
            predictions = last
        elif alpha == 0:
            predictions = evaluator.predict(reference.classifier)
        else:
            _interpolate(reference, trained, alpha, between)
            predictions = evaluator.predict(between)
        points.append(
            CurvePoint(alpha=alpha, validation={split.name: predictions[split.name].count for split in splits})
        )
    return tuple(points)


def _beside(trained: Classifier, reference: Reference) -> Classifier:
    """A classifier to interpolate into; where training left the encoder alone it is the reference's own."""
    if trained.encoder is reference.classifier.encoder:
        return Classifier(trained.encoder, copy.deepcopy(trained.head))
    return copy.deepcopy(trained)


def _interpolate(reference: Reference, trained: Classifier, alpha: float, between: Classifier) -> None:
    start = reference.classifier
    if between.encoder is start.encoder:
        interpolate(start.head, trained.head, alpha, into=between.head)
    else:
        interpolate(start, trained, alpha, into=between)
