"""Lines of the picture beside the fronts: what effective robustness is measured from, and what every repeat attains."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from fpray.report.measures import expected_of_imagenet
from fpray.report.report import MethodReport, Report
from fpray.report.views import MethodView
from fpray.statistics import attainment

STEPS = 60
"""Places on a baseline, evenly spaced by ID accuracy."""
Places = tuple[tuple[float, float], ...]


class Baseline(BaseModel):
    """The OOD test accuracy to expect at an ID test accuracy; what lies above it is effective robustness."""

    model_config = ConfigDict(frozen=True)

    name: str
    places: Places


class Surface(BaseModel):
    """What a share of the repeats (draws or seeds) attains of a method's front on test images: its corners, by ID."""

    model_config = ConfigDict(frozen=True)

    method: str
    share: float
    corners: Places


def baseline(layout: str, report: Report) -> Baseline | None:
    """The published line of models trained on ImageNet alone; for other data, full fine-tuning's front.

    None where there is no full fine-tuning, or where it is that of several models.
    """
    if layout == "imagenet":
        low, high = _ends([point.test.id for point in report.points])
        at = np.linspace(low, high, STEPS).tolist()
        return Baseline(name="models trained on ImageNet alone", places=tuple((v, expected_of_imagenet(v)) for v in at))
    full = [method for method in report.methods if method.method == "full" and method.front]
    if len(full) != 1:
        return None
    own = MethodView.of(full[0].front)
    at = np.linspace(*_ends(own.id_test.tolist()), STEPS).tolist()
    return Baseline(name="full fine-tuning at equal ID accuracy", places=tuple((v, own.ood_at(v)) for v in at))


def surfaces(report: Report) -> tuple[Surface, ...]:
    """For each method with repeats: what half of them attain, and what all do, of the front that validation chooses."""
    return tuple(
        Surface(method=method.name, share=share, corners=_corners(method, share))
        for method in report.methods
        for share in (0.5, 1.0)
        if method.method != "zero_shot" and method.front and len(method.front[0].test_of_seeds) > 1
    )


def _corners(method: MethodReport, share: float) -> Places:
    of_repeats = zip(*(point.test_of_seeds for point in method.front), strict=True)
    corners = attainment([[accuracy.pair for accuracy in own] for own in of_repeats], share)
    return tuple((float(own), float(ood)) for own, ood in corners)


def _ends(values: Sequence[float]) -> tuple[float, float]:
    return (min(values), max(values)) if values else (0.0, 100.0)
