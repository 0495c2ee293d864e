"""Hypervolumes: the reference point of the results, as many trainings for each, as many points for each."""

from __future__ import annotations

from itertools import combinations
from statistics import fmean

import pytest

from fpray.report.hypervolumes import hypervolumes, reference_point_of
from fpray.report.pareto import Accuracy, Configuration
from fpray.report.views import MethodView
from fpray.statistics import hypervolume

Point = tuple[float, float]
FULL = {"full-000": (90.0, 50.0), "full-001": (80.0, 60.0), "full-002": (70.0, 65.0)}
AVERAGED = {"full-000": [(85.0, 66.0), (75.0, 70.0)], "full-001": [(76.0, 68.0)]}


def view_of(method: str, points: list[tuple[Point, str | None]], val: list[Point] | None = None) -> MethodView:
    return MethodView.of(
        [
            Configuration(
                name=f"{method}-{n:03d}",
                method=method,
                trainings=() if training is None else (training,),
                params={},
                val=Accuracy(id=chosen[0], ood=chosen[1]),
                test=Accuracy(id=point[0], ood=point[1]),
                test_of_seeds=(),
                trials=(),
            )
            for n, ((point, training), chosen) in enumerate(
                zip(points, val or [point for point, _ in points], strict=True)
            )
        ]
    )


VIEWS = {
    "zero_shot": view_of("zero_shot", [((60.0, 66.0), None)]),
    "full": view_of("full", [(point, name) for name, point in FULL.items()]),
    "wise_ft": view_of("wise_ft", [(point, source) for source, points in AVERAGED.items() for point in points]),
}


def test_the_reference_point_is_zero_shots_id_and_the_lowest_ood_of_any_front() -> None:
    assert reference_point_of(VIEWS) == (60.0, 50.0)
    worse = view_of("full", [((90.0, 50.0), "a"), ((80.0, 40.0), "b")])  # which is on no front
    assert reference_point_of(VIEWS | {"full": worse}) == (60.0, 50.0)
    assert reference_point_of({"full": VIEWS["full"]}) == (70.0, 50.0)
    assert reference_point_of({}) == (0.0, 0.0)


def test_each_method_has_as_many_trainings() -> None:
    known = hypervolumes(VIEWS, (60.0, 40.0))
    assert (known.trainings, known.points) == (2, 3)  # wise_ft's three points are of two trainings
    pairs = [hypervolume(list(pair), (60.0, 40.0)) for pair in combinations(FULL.values(), 2)]
    assert known.of["full"].at_trainings == pytest.approx(fmean(pairs))
    assert known.of["full"].at_points == pytest.approx(hypervolume(list(FULL.values()), (60.0, 40.0)))
    averaged = hypervolume([point for points in AVERAGED.values() for point in points], (60.0, 40.0))
    assert known.of["wise_ft"].at_trainings == known.of["wise_ft"].at_points == pytest.approx(averaged)
    assert known.of["zero_shot"].at_trainings == 0.0  # at the reference point's ID it covers nothing


def test_points_of_one_training_come_and_go_together() -> None:
    one = {"full": view_of("full", [((90.0, 50.0), "full-000")])}
    known = hypervolumes(VIEWS | one, (60.0, 40.0))
    assert known.trainings == 1
    of_each = [hypervolume(points, (60.0, 40.0)) for points in AVERAGED.values()]
    assert known.of["wise_ft"].at_trainings == pytest.approx(fmean(of_each))


def test_validation_chooses_the_front() -> None:
    points: list[tuple[Point, str | None]] = [((90.0, 50.0), "a"), ((80.0, 60.0), "b")]
    view = view_of("full", points, val=[(90.0, 60.0), (80.0, 50.0)])
    assert hypervolumes({"full": view}, (60.0, 40.0)).of["full"].at_points == pytest.approx((90 - 60) * (50 - 40))


def test_where_nothing_has_finished_there_is_nothing() -> None:
    assert hypervolumes({}, (0.0, 0.0)).of == {}
