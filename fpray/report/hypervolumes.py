"""Hypervolumes that can be compared: of as many trainings for each method, and of as many points.

A method's hypervolume grows with the number of its configurations, so those of one that has more are drawn at random as
often as there are subsets, and the mean is given. A point that costs no training of its own, as WiSE-FT's do, counts as
one of the training that it is made from; a soup's, only where all its trainings are among those drawn.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
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
    trained = [own for own in views.values() if _trainings(own)]
    trainings = min((len(_trainings(own)) for own in trained), default=0)
    points = min((len(own.names) for own in trained), default=1)
    return Hypervolumes(
        reference_point=reference_point,
        trainings=trainings,
        points=points,
        of={name: _hypervolume(own, trainings, points, reference_point) for name, own in views.items()},
    )


def at_trainings(own: MethodView, reference_point: tuple[float, float]) -> tuple[float, ...]:
    """A method's hypervolume with one training, with two, and so on to all that it has."""
    return tuple(
        mean_over_subsets(lambda some: _of_trainings(own, some, reference_point), _trainings(own), size)
        for size in range(1, len(_trainings(own)) + 1)
    )


def _hypervolume(own: MethodView, trainings: int, points: int, reference_point: tuple[float, float]) -> Hypervolume:
    rows, known = list(range(len(own.names))), _trainings(own)
    return Hypervolume(
        at_trainings=mean_over_subsets(lambda some: _of_trainings(own, some, reference_point), known, trainings)
        if known
        else _of_rows(own, rows, reference_point),
        at_points=mean_over_subsets(lambda some: _of_rows(own, some, reference_point), rows, points),
    )


def _trainings(own: MethodView) -> list[str]:
    """The trainings that a method's configurations are points of."""
    return list(dict.fromkeys(name for trainings in own.trainings for name in trainings))


def _of_trainings(own: MethodView, some: Collection[str], reference_point: tuple[float, float]) -> float:
    """The hypervolume of the points that some trainings give."""
    rows = [row for row, needed in enumerate(own.trainings) if needed and set(needed) <= set(some)]
    return _of_rows(own, rows, reference_point)


def _of_rows(own: MethodView, rows: list[int], reference_point: tuple[float, float]) -> float:
    return hypervolume(own.front(rows), reference_point) if rows else 0.0
