"""The curve of a trained trial: its weights averaged with the reference's, as WiSE-FT does, by alpha.

The ends are known: at 0 it is the zero-shot classifier, at 1 the trained one. Between them each point costs its forward
passes over the validation images. The test images of a point are evaluated
when all trials have ended, if it is on a front then (`fpray/training/point.py`).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial

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
    evaluator, between = Evaluator(reference, splits, runtime, autocast), _beside(trained, reference)

    def interpolated(alpha: float) -> Classifier:
        _interpolate(reference, trained, alpha, between)
        return between

    inner = [number / (alphas - 1) for number in range(1, alphas - 1)]
    found = {0.0: evaluator.predict(reference.classifier)}
    # The images are read once for all of them.
    found |= dict(zip(inner, evaluator.predict_each([partial(interpolated, a) for a in inner]), strict=True))
    found[1.0] = dict(last)
    return tuple(
        CurvePoint(alpha=alpha, validation={split.name: predictions[split.name].count for split in splits})
        for alpha, predictions in found.items()
    )


def _beside(trained: Classifier, reference: Reference) -> Classifier:
    """A classifier to interpolate into; where training left the encoder alone it is the reference's own."""
    if trained.encoder is reference.classifier.encoder:
        return Classifier(trained.encoder, copy.deepcopy(trained.head)).eval()
    return copy.deepcopy(trained).eval()


def _interpolate(reference: Reference, trained: Classifier, alpha: float, between: Classifier) -> None:
    start = reference.classifier
    if between.encoder is start.encoder:
        interpolate(start.head, trained.head, alpha, into=between.head)
    else:
        interpolate(start, trained, alpha, into=between)
