"""The curve of a trained trial: its weights averaged with the reference's, as WiSE-FT does, by alpha.

The ends are known: at 0 it is the zero-shot classifier, at 1 the trained one. Between them each point costs its forward
passes over the validation images. The test images of a point are evaluated when all trials have ended, if it is on a
front then (`fpray/training/point.py`).
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
    evaluator = Evaluator(reference, splits, runtime, autocast)
    # Where training left the encoder alone it is the reference's own, and its features are known.
    frozen = trained.encoder is reference.classifier.encoder
    between = Classifier(trained.encoder, copy.deepcopy(trained.head)) if frozen else copy.deepcopy(trained)
    start, end, into = (c.head if frozen else c for c in (reference.classifier, trained, between.eval()))

    def interpolated(alpha: float) -> Classifier:
        interpolate(start, end, alpha, into=into)
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
