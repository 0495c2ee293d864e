"""The bootstrap over seeds and images: against closed forms, and its coverage by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from fpray.statistics import by_resampling
from fpray.statistics.resampling import Accuracies


def drawn(
    rng: np.random.Generator, images: int, seeds: int, rows: int = 2, seed_spread: float = 0.0
) -> NDArray[np.bool_]:
    """Rows that get most images right alike, each seed somewhat better or worse."""
    ease = rng.normal(size=images)
    skill = np.linspace(0.3, 0.5, rows)[:, None] + seed_spread * rng.normal(size=(rows, seeds))
    noise = 0.6 * rng.normal(size=(rows, seeds, images))
    return skill[:, :, None] + ease + noise > 0


def plain(accuracies: Accuracies) -> dict[str, float]:
    own = accuracies["id/test"]
    return {"first": own[0], "difference": own[1] - own[0]}


def test_one_seeds_accuracy_has_the_binomial_error() -> None:
    correct = drawn(np.random.default_rng(0), 800, 1)
    found = by_resampling(plain, {"id/test": correct})
    p = correct[0].mean()
    assert found["first"].value == pytest.approx(100 * p)
    assert found["first"].error == pytest.approx(100 * math.sqrt(p * (1 - p) / 800), rel=0.07)
    assert found["first"].freedom == math.inf


def test_a_differences_error_is_that_of_paired_images() -> None:
    correct = drawn(np.random.default_rng(1), 800, 1)
    pairs = correct[1, 0].astype(float) - correct[0, 0]
    found = by_resampling(plain, {"id/test": correct})["difference"]
    assert found.error == pytest.approx(100 * pairs.std() / math.sqrt(800), rel=0.07)
    alone = [100 * math.sqrt(c.mean() * (1 - c.mean()) / 800) for c in correct]
    assert found.error < 0.8 * math.hypot(*alone)


def test_seeds_add_their_own_error() -> None:
    correct = drawn(np.random.default_rng(2), 20_000, 4, seed_spread=0.2)
    of_seeds = 100 * correct[0].mean(axis=1)
    found = by_resampling(plain, {"id/test": correct})["first"]
    assert found.error == pytest.approx(of_seeds.std(ddof=1) / 2, rel=0.12)
    assert 3 <= found.freedom < 4


def test_rows_that_seeds_dont_change_have_the_images_error() -> None:
    correct = np.repeat(drawn(np.random.default_rng(3), 500, 1), 3, axis=1)
    found = by_resampling(plain, {"id/test": correct})["first"]
    p = correct[0, 0].mean()
    assert found.error == pytest.approx(100 * math.sqrt(p * (1 - p) / 500), rel=0.07) and found.error > 0
    assert found.freedom > 1e6


def test_a_mean_over_domains_and_a_number_that_is_missing_now_and_then() -> None:
    rng = np.random.default_rng(4)
    correct = {f"ood/{name}/test": drawn(rng, 300, 1, rows=1) for name in "ab"}

    def of_both(accuracies: Accuracies) -> dict[str, float]:
        mean = (accuracies["ood/a/test"][0] + accuracies["ood/b/test"][0]) / 2
        return {"mean": mean, "above": mean if mean > 50 else math.nan}

    found = by_resampling(of_both, correct)
    p = [own.mean() for own in correct.values()]
    assert found["mean"].error == pytest.approx(50 * math.sqrt(sum(q * (1 - q) / 300 for q in p)), rel=0.07)
    assert math.isfinite(found["above"].error)


def test_it_repeats() -> None:
    correct = {"id/test": drawn(np.random.default_rng(5), 100, 2)}
    assert by_resampling(plain, correct, times=50) == by_resampling(plain, correct, times=50)
    assert by_resampling(plain, correct, seed=1, times=50) != by_resampling(plain, correct, times=50)


@pytest.mark.parametrize(("seeds", "spread"), [(1, 0.0), (3, 0.0), (3, 0.1)])
def test_95_percent_hold_the_truth(seeds: int, spread: float) -> None:
    rng = np.random.default_rng(6)
    each = [100 * drawn(rng, 400, 1, seed_spread=spread).mean(axis=(1, 2)) for _ in range(4000)]
    truth = np.mean([own[1] - own[0] for own in each])
    held = 0
    for _ in range(300):
        found = by_resampling(plain, {"id/test": drawn(rng, 400, seeds, seed_spread=spread)}, times=150)["difference"]
        held += abs(found.value - truth) <= found.half_width()
    assert 0.91 <= held / 300 <= 0.99  # benchmarks/coverage.py measures it to half a point


def test_images_that_do_not_count_for_a_row_change_nothing_of_another() -> None:
    """A row that only half of the images count for is known less well; the mean is over those that count."""
    rng = np.random.default_rng(5)
    right = rng.random((2, 1, 800)) < 0.7
    half = right.astype(np.float16)
    half[1, :, ::2] = np.nan

    def columns(accuracies: Accuracies) -> dict[str, float]:
        return {"whole": float(accuracies["id/val"][0]), "half": float(accuracies["id/val"][1])}

    plain, found = (by_resampling(columns, {"id/val": own}) for own in (right, half))
    assert found["whole"].value == plain["whole"].value
    assert found["whole"].error == pytest.approx(plain["whole"].error, rel=0.1)
    assert found["half"].value == pytest.approx(100 * right[1, 0, 1::2].mean())
    # sqrt(p (1 - p) / n): twice the variance
    assert found["half"].error == pytest.approx(100 * math.sqrt(0.7 * 0.3 / 400), rel=0.1)
    assert plain["half"].error == pytest.approx(100 * math.sqrt(0.7 * 0.3 / 800), rel=0.1)


def test_half_of_the_images_with_several_seeds() -> None:
    """The same as of these images alone."""
    half = drawn(np.random.default_rng(6), images=400, seeds=4, seed_spread=0.1).astype(np.float16)
    half[1, :, :200] = np.nan

    def second(accuracies: Accuracies) -> dict[str, float]:
        return {"half": float(accuracies["id/val"][1])}

    found, alone = (by_resampling(second, {"id/val": own}) for own in (half, half[:, :, 200:] == 1))
    assert found["half"].value == pytest.approx(alone["half"].value)
    assert found["half"].error == pytest.approx(alone["half"].error, rel=0.1)
