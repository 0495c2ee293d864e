"""Leave one domain out, against a case that can be done by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fpray.report.leftout import left_out
from tests.report.test_picks import configuration

NAMES = ("a", "b", "c")
CONFIGURATIONS = {name: configuration(name, 0, 0) for name in NAMES}


def test_each_domain_is_judged_by_what_the_others_choose() -> None:
    accuracies = {
        "id/val": np.array([90.0, 80.0, 70.0]),
        "id/test": np.array([90.0, 80.0, 70.0]),
        # On the mean of y and z, c is best; on x and z, b; on x and y, a.
        "ood/x/val": np.array([99.0, 99.0, 10.0]),
        "ood/x/test": np.array([1.0, 2.0, 30.0]),
        "ood/y/val": np.array([90.0, 20.0, 95.0]),
        "ood/y/test": np.array([1.0, 50.0, 3.0]),
        "ood/z/val": np.array([5.0, 40.0, 20.0]),
        "ood/z/test": np.array([70.0, 5.0, 6.0]),
    }
    assert left_out(CONFIGURATIONS, NAMES, accuracies) == {"full": pytest.approx((30 + 50 + 70) / 3)}


def test_of_a_single_domain_nothing_can_be_said() -> None:
    accuracies = {"ood/x/val": np.array([1.0, 2.0, 3.0]), "ood/x/test": np.array([1.0, 2.0, 3.0])}
    assert math.isnan(left_out(CONFIGURATIONS, NAMES, accuracies)["full"])
