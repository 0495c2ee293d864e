"""Measures: against naive loops, worked cases and published figures."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fpray.records import UNREADABLE, ImageResults
from fpray.report.measures import (
    agreement,
    calibration_error,
    effective_robustness,
    harmonic_mean,
    loss,
    macro_accuracy,
    measures_of,
)


def results(labels: list[int], classes: list[int], confidences: list[float], losses: list[float]) -> ImageResults:
    return ImageResults(
        np.array(labels, dtype=np.uint16),
        np.array(classes, dtype=np.uint16),
        np.array(confidences, dtype=np.float16),
        np.array(losses, dtype=np.float16),
    )


def drawn(seed: int, images: int = 500, classes: int = 5) -> ImageResults:
    rng = np.random.default_rng(seed)
    labels = rng.choice(classes, images, p=[0.6, 0.2, 0.1, 0.06, 0.04])
    said = np.where(rng.random(images) < 0.7, labels, rng.integers(0, classes, images))
    return results(labels.tolist(), said.tolist(), rng.random(images).tolist(), (-np.log(rng.random(images))).tolist())


def test_macro_accuracy_is_the_mean_over_classes() -> None:
    uneven = results([0, 0, 0, 1], [0, 0, 0, 0], [0.9] * 4, [0.1] * 4)
    assert macro_accuracy(uneven) == 50.0 and uneven.correct.mean() == 0.75
    own = drawn(0)
    each = [np.mean([c == y for c, y in zip(own.classes, own.labels, strict=True) if y == label]) for label in range(5)]
    assert macro_accuracy(own) == pytest.approx(100 * np.mean(each))


def test_calibration_error_equals_a_naive_loop_over_bins() -> None:
    own = drawn(1)
    total = 0.0
    for number in range(10):
        low, high = number / 10, (number + 1) / 10
        inside = [
            (c == y, float(p))
            for c, y, p in zip(own.classes, own.labels, own.confidences, strict=True)
            if low <= float(p) < high or (number == 9 and float(p) == 1.0)
        ]
        if inside:
            accuracy, confidence = np.mean([right for right, _ in inside]), np.mean([p for _, p in inside])
            total += len(inside) / len(own.labels) * abs(accuracy - confidence)
    assert calibration_error(own) == pytest.approx(total)
    sure = results([0, 1], [0, 1], [1.0, 1.0], [0.0, 0.0])
    assert calibration_error(sure) == 0.0


def test_unreadable_images_say_nothing_of_calibration_and_loss() -> None:
    own = results([0, 1, 0], [0, 0, UNREADABLE], [0.75, 0.75, math.nan], [0.5, 1.5, math.nan])
    assert calibration_error(own) == pytest.approx(0.25)
    assert loss(own) == 1.0


def test_agreement_with_the_reference() -> None:
    before = {"a": results([0] * 4, [0, 0, 1, 1], [1] * 4, [0] * 4), "b": results([0] * 2, [0, 0], [1] * 2, [0] * 2)}
    now = {"a": results([0] * 4, [0, 1, 0, 1], [1] * 4, [0] * 4), "b": results([0] * 2, [0, 0], [1] * 2, [0] * 2)}
    assert agreement(now, before, ["a"]) == {"kept": 25.0, "lost": 25.0, "won": 25.0}
    assert agreement(now, before, ["a", "b"]) == {"kept": 62.5, "lost": 12.5, "won": 12.5}


def test_effective_robustness_of_published_models() -> None:
    # ViT-B/16's zero-shot and fine-tuned points (WiSE-FT, R-Adapter): far above the line, and halfway back.
    assert effective_robustness(68.3, 58.4) == pytest.approx(33.1, abs=0.3)
    assert effective_robustness(81.3, 53.7) == pytest.approx(12.5, abs=0.3)
    assert effective_robustness(81.8, 63.0) == pytest.approx(21.0, abs=0.3)


def test_all_of_a_trial() -> None:
    splits = {"id/test": drawn(2), "ood/a/test": drawn(3), "ood/b/test": drawn(4), "id/val": drawn(5)}
    found = measures_of(splits, splits)
    assert found["ood/ECE"] == pytest.approx(np.mean([calibration_error(splits[f"ood/{d}/test"]) for d in "ab"]))
    assert found["ood/worst"] == 100 * min(splits[f"ood/{d}/test"].correct.mean() for d in "ab")
    assert found["id/lost"] == found["ood/won"] == 0.0
    assert found["id/kept"] == pytest.approx(100 * splits["id/test"].correct.mean())
    assert "id/kept" not in measures_of(splits)
    assert harmonic_mean(60.0, 40.0) == 48.0 and harmonic_mean(0.0, 0.0) == 0.0
