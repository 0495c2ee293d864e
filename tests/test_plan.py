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
