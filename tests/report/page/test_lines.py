"""The picture's baseline and surfaces, against their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from fpray.report.measures import effective_robustness
from fpray.report.page.lines import baseline, surfaces
from fpray.report.pareto import Accuracy, Configuration
from fpray.report.report import MethodReport, Report

Pair = tuple[float, float]


def report_of(method: str, *points: list[Pair]) -> Report:
    """A method of these configurations, all on its front; each has an accuracy for each repeat."""
    front = []
    for number, repeats in enumerate(points):
        every = tuple(Accuracy(id=own, ood=ood) for own, ood in repeats)
        mean = Accuracy(id=float(np.mean([a.id for a in every])), ood=float(np.mean([a.ood for a in every])))
        name = f"{method}-{number:03d}"
        front.append(
            Configuration(name=name, method=method, params={}, val=mean, test=mean, test_of_seeds=every, trials=(name,))
        )
    own = MethodReport(method=method, model=None, finished=1, failed=0, hypervolume=0, front=tuple(front), picks={})
    return Report(sweep="s", reference_point=(0, 0), methods=(own,), points=tuple(front))


def test_on_imagenet_it_is_the_published_line() -> None:
    found = baseline("imagenet", report_of("l2", [(60, 40)], [(80, 50)]))
    assert found is not None and (found.places[0][0], found.places[-1][0]) == (60, 80)
    assert all(effective_robustness(own, ood) == pytest.approx(0) for own, ood in found.places)


def test_elsewhere_it_is_full_fine_tunings_front() -> None:
    found = baseline("domains", report_of("full", [(60, 40)], [(70, 30)], [(80, 10)]))
    assert found is not None
    for own, ood in found.places:
        expected = 40 - (own - 60) if own <= 70 else 30 - 2 * (own - 70)
        assert ood == pytest.approx(expected)
    assert baseline("domains", report_of("l2", [(60, 40)])) is None


def test_surfaces_are_what_half_and_all_of_the_repeats_attain() -> None:
    rng = np.random.default_rng(0)
    points = [
        [(float(60 + 5 * n + rng.normal()), float(50 - 5 * n + rng.normal())) for _ in range(4)] for n in range(3)
    ]
    report = report_of("l2", *points)

    def attained(own: float, ood: float) -> int:
        """By how many repeats."""
        return sum(any(p[r][0] >= own and p[r][1] >= ood for p in points) for r in range(4))

    found = {surface.share: surface.corners for surface in surfaces(report)}
    assert set(found) == {0.5, 1.0}
    for share, corners in found.items():
        assert corners
        for own, ood in corners:
            assert attained(own, ood) >= 4 * share
            assert attained(own + 1e-6, ood) < 4 * share
            assert attained(own, ood + 1e-6) < 4 * share


def test_one_repeat_has_none() -> None:
    assert surfaces(report_of("l2", [(60, 40)])) == ()
