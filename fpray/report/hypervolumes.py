"""Hypervolumes that can be compared: of as many trainings for each method, and of as many points.

A method's hypervolume grows with the number of its configurations, so those of one that has more are drawn at random as
often as there are subsets, and the mean is given. A point that costs no training of its own, as WiSE-FT's do, counts as
one of the training that it is made from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fpray.report.views import MethodView
from fpray.statistics import hypervolume, mean_over_subsets

Views = Mapping[str, MethodView]


@dataclass(frozen=True)
class Hypervolume:
    """A method's hypervolumes, in squared per cent: the area of ID times OOD test accuracy that is below its front."""

    at_trainings: float
    at_points: float


@dataclass(frozen=True)
class Hypervolumes:
    """Every method's, over one reference point."""

    reference_point: tuple[float, float]
    trainings: int
    """As many for each method that has any."""
    points: int
    """As many for each of those methods."""
    of: Mapping[str, Hypervolume]


def reference_point_of(views: Views) -> tuple[float, float]:
    """The reference point of some results: zero-shot's ID test accuracy, below which no tuning is worth it (without
    zero-shot the lowest of any front), and the lowest OOD test accuracy of any front."""
    fronts = [own.front() for own in views.values()]
    if not fronts:
        return 0.0, 0.0
    zero_shot = [float(own.id_test.min()) for own in views.values() if own.method == "zero_shot"]
    lowest_id, lowest_ood = (min(float(front[:, axis].min()) for front in fronts) for axis in (0, 1))
    return min(zero_shot, default=lowest_id), lowest_ood


def hypervolumes(views: Views, reference_point: tuple[float, float]) -> Hypervolumes:
    """The hypervolumes of all methods that have results, at equal trainings and at equal points."""
    trained = [own for own in views.values() if _rows_by_training(own)]
    trainings = min((len(_rows_by_training(own)) for own in trained), default=0)
    points = min((len(own.names) for own in trained), default=1)
    return Hypervolumes(
        reference_point=reference_point,
        trainings=trainings,
        points=points,
        of={name: _hypervolume(own, trainings, points, reference_point) for name, own in views.items()},
    )


def at_trainings(own: MethodView, reference_point: tuple[float, float]) -> tuple[float, ...]:
    """A method's hypervolume with one training, with two, and so on to all that it has."""
    by_training = list(_rows_by_training(own).values())
    return tuple(
        mean_over_subsets(lambda g: _of_groups(own, g, reference_point), by_training, size)
        for size in range(1, len(by_training) + 1)
    )


def _of_groups(own: MethodView, groups: list[list[int]], reference_point: tuple[float, float]) -> float:
    return hypervolume(own.front([row for group in groups for row in group]), reference_point)


def _hypervolume(own: MethodView, trainings: int, points: int, reference_point: tuple[float, float]) -> Hypervolume:
    def value(groups: list[list[int]]) -> float:
        return _of_groups(own, groups, reference_point)

    each = [[row] for row in range(len(own.names))]
    by_training = list(_rows_by_training(own).values())
    return Hypervolume(
        at_trainings=mean_over_subsets(value, by_training, trainings) if by_training else value(each),
        at_points=mean_over_subsets(value, each, points),
    )


def _rows_by_training(own: MethodView) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = {}
    for row, training in enumerate(own.trainings):
        if training is not None:
            rows.setdefault(training, []).append(row)
    return rows
