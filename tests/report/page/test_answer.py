"""What would decide between methods: more of what makes their difference uncertain."""

from __future__ import annotations

import pytest

from fpray.report.page.answer import TOO_CLOSE, what_would_decide
from fpray.statistics import Estimate, over_draws


def test_over_draws_it_is_draws() -> None:
    said = what_would_decide(3, 2, [over_draws([0.5, 2.0, 3.5]), Estimate(1.0, 0.6)])
    assert said == "About 5 draws of the data (data.seeds) would decide it; there are 3."


def test_where_seeds_differ_it_is_seeds_and_not_images() -> None:
    """With two seeds alone Student's t makes it 12.7 standard errors: three or four of them are another matter."""
    said = what_would_decide(1, 2, [Estimate(2.7, 0.66, 1.0)])
    assert said.startswith("About 3 training seeds (train.seeds) would decide it; there are 2. Several draws (")


@pytest.mark.parametrize("freedom", [9.0, float("inf")])
def test_where_images_make_most_of_it_it_is_images(freedom: float) -> None:
    said = what_would_decide(1, 2, [Estimate(1.0, 1.0, freedom)])
    times = (Estimate(1.0, 1.0, freedom).half_width()) ** 2
    assert said.startswith(f"About {int(times) + 1} times as many test images would decide it for these trials. ")


@pytest.mark.parametrize(("draws", "seeds"), [(3, 1), (1, 2), (1, 1)])
def test_what_is_out_of_reach_is_not_named(draws: int, seeds: int) -> None:
    freedom = float(max(draws, seeds) - 1) or float("inf")
    assert what_would_decide(draws, seeds, [Estimate(0.01, 1.0, freedom)]) == TOO_CLOSE
