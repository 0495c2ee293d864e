"""Intervals and p-values are Student's; equivalence is two one-sided tests."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from fpray.statistics import Estimate, over_draws

VALUES = [1.2, 0.4, 2.1, 0.9, 1.7]


def test_over_draws_it_is_students_t() -> None:
    estimate, theirs = over_draws(VALUES), stats.ttest_1samp(VALUES, 0)
    assert estimate.value == pytest.approx(np.mean(VALUES))
    assert estimate.p == pytest.approx(theirs.pvalue)
    low, high = theirs.confidence_interval(0.95)
    assert (estimate.value - estimate.half_width(), estimate.value + estimate.half_width()) == pytest.approx(
        (low, high)
    )
    assert over_draws([1.0, 3.0]).half_width() == pytest.approx(12.706, abs=1e-3)


def test_with_infinite_freedom_it_is_normal() -> None:
    estimate = Estimate(1.0, 0.5)
    assert estimate.half_width() == pytest.approx(1.95996 * 0.5, abs=1e-5)
    assert estimate.p == pytest.approx(2 * stats.norm.sf(2))


@pytest.mark.parametrize("freedom", [4, math.inf])
@pytest.mark.parametrize("value", [-0.7, 0.0, 0.3, 1.4])
def test_equivalence_is_the_worse_of_two_one_sided_tests(value: float, freedom: float) -> None:
    error, margin = 0.2, 1.0
    below, above = ((value + sign * margin) / error for sign in (1, -1))
    expected = max(stats.t.sf(below, freedom), stats.t.cdf(above, freedom))
    assert Estimate(value, error, freedom).p_of_more_than(margin) == pytest.approx(expected)


def test_without_error_all_is_known() -> None:
    assert Estimate(0.5, 0.0).p == 0.0
    assert Estimate(0.0, 0.0).p == 1.0  # "it is 0" can't be refuted
    assert (Estimate(0.5, 0.0).p_of_more_than(1.0), Estimate(1.5, 0.0).p_of_more_than(1.0)) == (0.0, 1.0)


@pytest.mark.parametrize("value", [0.6, 1.5, 4.0])
def test_as_many_repeats_decide_as_bring_the_interval_down_to_the_value(value: float) -> None:
    spread, have = 2.0, 3
    wanted = Estimate(value, spread / math.sqrt(have), have - 1).repeats_that_decide(have, 1000)
    assert wanted is not None
    halves = {n: stats.t.ppf(0.975, n - 1) * spread / math.sqrt(n) for n in (wanted - 1, wanted)}
    assert halves[wanted] <= value and (wanted == have + 1 or halves[wanted - 1] > value)
    assert Estimate(value, spread / math.sqrt(have), have - 1).repeats_that_decide(have, wanted - 1) is None
