"""Many pictures at once: balanced labels, and an array of the pictures that `draw` makes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from fpray.drawnet import CLASSES, balanced_labels, draw, draw_images


@pytest.mark.parametrize("count", [1, 10, 28, 60])
def test_every_class_is_equally_often_give_or_take_one(count: int) -> None:
    counts = Counter(balanced_labels(count, np.random.default_rng(3)))
    assert sum(counts.values()) == count
    assert {counts[label] for label in range(len(CLASSES))} <= {count // len(CLASSES), -(-count // len(CLASSES))}


def test_the_order_and_the_classes_that_come_once_more_are_random() -> None:
    first, other = (balanced_labels(40, np.random.default_rng(seed)) for seed in (0, 1))
    assert first == balanced_labels(40, np.random.default_rng(0))
    assert first != other and Counter(first) != Counter(other)


def test_the_pictures_are_those_that_draw_makes_one_after_another() -> None:
    pixels = draw_images("sketch", [5, 0, 5], np.random.default_rng(7), 0.5)
    assert (pixels.dtype, pixels.shape) == (np.uint8, (3, 32, 32, 3))
    rng = np.random.default_rng(7)
    for image, label in zip(pixels, [5, 0, 5], strict=True):
        assert np.array_equal(image, np.asarray(draw("sketch", CLASSES[label], rng, 0.5)))


def test_no_labels_make_no_pictures() -> None:
    assert draw_images("real", [], np.random.default_rng(0), 0.0).shape == (0, 32, 32, 3)
