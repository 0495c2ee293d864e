from __future__ import annotations

from fpray.plan import plan
from fpray.sweepfile import check_sweep


def test_the_plan_counts_trials_and_images() -> None:
    methods = {"zero_shot": None, "full": {"trials": 3}, "wise_ft": {"trials": 2}}
    content = {"name": "s", "methods": methods, "train": {"epochs": 5, "seeds": [0, 1]}, "data": {"train_images": 200}}
    text = plan(check_sweep(content, "s"))
    assert "12 trials: zero_shot 2, full 6, wise_ft 4" in text
    assert "each configuration with 2 seeds" in text
    assert "about 6,000 images trained on (6 trials, 5 epochs of 200)" in text


def test_the_plan_counts_every_model() -> None:
    content = {"name": "s", "methods": {"zero_shot": None, "full": {"trials": 3}}, "data": {"train_images": 200}}
    text = plan(check_sweep(content | {"train": {"epochs": 5}, "model": {"name": ["a", "b"]}}, "s"))
    assert "8 trials: zero_shot-a 1, full-a 3, zero_shot-b 1, full-b 3" in text
    assert "about 6,000 images trained on (6 trials, 5 epochs of 200)" in text
    searched = plan(check_sweep(content | {"model": {"name": {"choice": ["a", "b"]}}}, "s"))
    assert "5 trials: zero_shot 2, full 3" in searched
