"""Claims: Holm's correction against a worked example, and what each verdict needs."""

from __future__ import annotations

import numpy as np
import pytest

from fpray.statistics import Estimate, Verdict, holm, verdict


def test_holms_correction() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.2]) == [0.2]
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_it_keeps_the_level_over_all_claims() -> None:
    rng = np.random.default_rng(0)
    tables = rng.random((4000, 18))  # p-values of claims of which none is true
    wrong = np.mean([min(holm(list(row))) <= 0.05 for row in tables])
    assert wrong == pytest.approx(0.05, abs=0.015)
    assert np.mean(tables.min(axis=1) <= 0.05) > 0.5  # without it, most tables would have one


@pytest.mark.parametrize(
    ("value", "error", "expected"),
    [(2.0, 0.5, "seen"), (-2.0, 0.5, "not seen"), (0.1, 0.3, "equivalent"), (0.9, 0.5, "undecided")],
)
def test_verdicts(value: float, error: float, expected: Verdict) -> None:
    difference = Estimate(value, error)
    assert verdict(difference, difference.p, margin=1.0) == expected


def test_a_claim_that_fails_after_correction_is_undecided() -> None:
    difference = Estimate(2.0, 0.8)
    assert verdict(difference, difference.p, margin=1.0) == "seen"
    assert verdict(difference, holm([difference.p] * 9)[0], margin=1.0) == "undecided"
