"""One picture: the drawings are those of `DRAWING_VERSION`, and the signature colour is the class's."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from fpray.drawnet import CLASSES, DRAWING_VERSION, STYLES, draw
from fpray.drawnet.colour import from_hsv, signature_hue

MEANS = {
    "real": 119.27,
    "clipart": 214.08,
    "infograph": 207.57,
    "painting": 125.46,
    "quickdraw": 231.27,
    "sketch": 210.06,
}
"""The mean of the pixels of one picture of each class, by style, in version 2."""


def pixels(style: str, class_name: str, seed: int, signature: float = 0.0) -> NDArray[np.uint8]:
    return np.asarray(draw(style, class_name, np.random.default_rng(seed), signature))


def test_pictures_change_only_with_the_version() -> None:
    means = {style: np.mean([pixels(style, name, seed, 0.5) for seed, name in enumerate(CLASSES)]) for style in STYLES}
    assert DRAWING_VERSION == 2
    assert means == pytest.approx(MEANS, abs=0.02)  # the last bit of a sine depends on the processor


def test_the_signature_colour_is_the_classs_own() -> None:
    def distance(signature: float) -> float:
        colour = np.array(from_hsv(signature_hue("apple"), 0.8, 0.85))
        nearest = [
            np.abs(pixels("clipart", "apple", seed, signature).reshape(-1, 3) - colour).sum(axis=1).min()
            for seed in range(40)
        ]
        return float(np.mean(nearest))

    assert distance(1.0) < 0.5 * distance(0.0)
