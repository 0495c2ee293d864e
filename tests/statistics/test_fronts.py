"""Fronts, hypervolumes and surfaces, against published points, closed forms and naive loops."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from fpray.statistics import attainment, hypervolume, is_on_front, mean_over_subsets, ood_at_id

FIXTURES = Path(__file__).parents[1] / "fixtures"
WISE_FT = pd.read_csv(FIXTURES / "wise_ft_b16.csv")
CURVE = WISE_FT[["imagenet", "ood_mean"]].to_numpy()
SOUPS = pd.read_csv(FIXTURES / "model_soups_b32.csv")
OOD = ["imagenet_v2", "imagenet_sketch", "imagenet_r", "objectnet", "imagenet_a"]
SOUP_POINTS = 100 * np.column_stack([SOUPS["imagenet"], SOUPS[OOD].mean(axis=1)])


def naive_front(points: NDArray[np.float64]) -> list[bool]:
    return [not any((o >= p).all() and (o > p).any() for o in points) for p in points]


def naive_hypervolume(points: NDArray[np.float64], reference_point: tuple[float, float]) -> float:
    """By rectangles, from the highest ID accuracy down."""
    total, height = 0.0, reference_point[1]
    for x, y in sorted(points.tolist(), reverse=True):
        if x > reference_point[0] and y > height:
            total += (x - reference_point[0]) * (y - height)
            height = y
    return total


def test_the_published_curve_of_wise_ft() -> None:
    assert WISE_FT["alpha"][is_on_front(CURVE)].tolist() == [0.4, 0.5, 0.6, 0.7]
    assert hypervolume(CURVE, (65, 50)) == pytest.approx(232.69, abs=0.01)
    assert hypervolume(CURVE[[0, -1]], (65, 50)) == pytest.approx(75.5, abs=0.05)


def test_the_72_published_models() -> None:
    assert is_on_front(SOUP_POINTS).tolist() == naive_front(SOUP_POINTS)
    assert hypervolume(SOUP_POINTS, (70, 35)) == pytest.approx(naive_hypervolume(SOUP_POINTS, (70, 35)))


def test_no_points_and_equal_points() -> None:
    assert hypervolume([], (0, 0)) == 0.0 and not is_on_front([]).any()
    assert is_on_front([[1, 2], [1, 2], [0, 2]]).tolist() == [True, True, False]
    assert hypervolume([[1, 2]], (3, 0)) == 0.0


def test_the_mean_over_all_subsets() -> None:
    points = CURVE[:6]
    every = [hypervolume(points[list(s)], (65, 50)) for s in combinations(range(6), 3)]

    def mean(of: NDArray[np.float64], size: int, reference_point: tuple[float, float]) -> float:
        return mean_over_subsets(lambda rows: hypervolume(of[rows], reference_point), range(len(of)), size)

    assert mean(points, 3, (65, 50)) == pytest.approx(np.mean(every))
    assert mean(points, 6, (65, 50)) == mean(points, 9, (65, 50)) == hypervolume(points, (65, 50))
    of_many = mean(SOUP_POINTS, 8, (70, 35))
    assert of_many == mean(SOUP_POINTS, 8, (70, 35)) < mean(SOUP_POINTS, 16, (70, 35))


def test_ood_at_id_lies_on_the_line_between_points() -> None:
    points = [(70.0, 50.0), (60.0, 58.0), (65.0, 52.0)]
    assert ood_at_id(points, 65) == 52.0
    assert ood_at_id(points, 62.5) == pytest.approx(55.0)
    assert ood_at_id(points, 55) == 58.0  # what has more ID accuracy has that much, too
    assert np.isnan(ood_at_id(points, 70.1))


def test_surfaces_of_one_of_half_and_of_all_runs() -> None:
    runs = [[(1.0, 4.0), (3.0, 2.0)], [(2.0, 3.0)], [(2.0, 1.0)]]
    assert attainment(runs, 1.0).tolist() == [[1.0, 1.0], [2.0, 1.0]] or attainment(runs, 1.0).tolist() == [[2.0, 1.0]]
    every = [p for run in runs for p in run]
    best = attainment(runs, 1 / 3)
    assert sorted(map(tuple, best.tolist())) == sorted(p for p in every if naive_front(np.array(every))[every.index(p)])
    # A corner of the middle surface: two of the three runs reach it, and no better point.
    for x, y in attainment(runs, 2 / 3).tolist():
        assert sum(any(a >= x and b >= y for a, b in run) for run in runs) >= 2
