"""What a plan can't answer is told, and a plan that can is left in peace."""

from __future__ import annotations

from typing import Any

import pytest

from fpray.data import Split
from fpray.sweep.doubts import doubts
from tests.sweeps import sweep_of

B16, SMALL = {"ViT-B-16": 86_192_640}, {"drawnet-s": 841_472}
SIZES = {Split("id", "real", "train"): 20_000, Split("id", "real", "val"): 5_000, Split("ood", "sketch", "val"): 5_000}
FULL = {"methods": {"full": {}}}


def told(sizes: dict[Split, int] = SIZES, weights: dict[str, int] = B16, **sections: Any) -> list[str]:
    return doubts(sweep_of(**FULL | {"train": {"batch_size": 100}} | sections), sizes, weights)


def test_a_plan_that_can_answer_is_left_in_peace() -> None:
    assert told() == []
    assert told(SIZES, B16, methods=["full", "l1", "l2", "kd", "lora", "linear_probe", "wise_ft", "zero_shot"]) == []
    assert told(SIZES, SMALL, train={"batch_size": 100, "lr": {"log": [1e-4, 2e-3]}}) == []


@pytest.mark.parametrize(("epochs", "batch", "steps"), [(1, 2000, 10), (9, 2000, 90), (3, 30_000, 3)])
def test_a_short_training_is_told(epochs: int, batch: int, steps: int) -> None:
    lines = told(train={"epochs": epochs, "batch_size": batch})
    assert any(f"a training has {steps} steps" in line for line in lines)
    assert any("an epoch is one step" in line for line in lines) == (batch > 20_000)
    assert told(train={"epochs": epochs, "batch_size": batch}, methods={"zero_shot": {}})[:-1] == []


def test_the_length_of_a_batch_that_is_to_be_found_is_not_known() -> None:
    assert told(train={"epochs": 1, "batch_size": "auto"}, resources={"gpus": 1}) == []


def test_learning_rates_of_another_models_size_are_told() -> None:
    (line,) = told(SIZES, SMALL, methods=["full", "lora", "l2"])
    assert line == (
        "the learning rates of full, l2 lie around 9e-06, and a model of the size of 'drawnet-s' takes some 2e-04: "
        "set train.lr"
    )
    assert len(told(train={"batch_size": 100, "lr": {"choice": [1e-3, 2e-3]}})) == 1
    assert len(told(train={"batch_size": 100, "lr": {"uniform": [1e-6, 1e-3]}})) == 1


def test_fewer_configurations_than_dimensions_are_told() -> None:
    (line,) = told(methods={"kd": {"trials": 1}, "full": {"trials": 1}})
    assert line.startswith("methods.kd: 1 configurations are fewer than what is searched, lr, strength")


def test_small_validation_splits_are_told_with_the_half_width() -> None:
    small = {Split("id", "real", "train"): 20_000, Split("id", "real", "val"): 400}
    small |= {Split("ood", style, "val"): 150 for style in ("sketch", "clipart", "painting", "infograph", "quickdraw")}
    ids, ood = told(small)
    assert "of 1 x 400 images, is uncertain by up to 4.9 points" in ids  # 1.96 * 50 / 20
    assert "of 5 x 150 images, is uncertain by up to 3.6 points" in ood  # as of 750 images
