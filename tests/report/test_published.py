"""Published zero-shot figures: a trial that differs is told, and only where the data is what was published."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fpray.config import Sweep, check_sweep
from fpray.model import Model
from fpray.records import Count, Record
from fpray.report.published import KNOWN, remarks_on

B16 = {"name": "ViT-B-16", "pretrained": "openai"}


def sweep_of(layout: str, model: dict[str, Any] = B16, **data: Any) -> Sweep:
    return check_sweep({"name": "s", "data": {"layout": layout, "root": "/data", **data}, "model": model}, "s")


def zero_shot(make: Callable[..., Record], layout: str, **off: float) -> Record:
    """A zero-shot trial with the published accuracies, but for some that are off by so many points."""
    published = KNOWN[layout, Model(**B16)].accuracies
    shares = {split: share + off.get(split.split("/")[-2].replace("-", "_"), 0.0) for split, share in published.items()}
    results = {split: Count(correct=round(share * 500), total=50_000) for split, share in shares.items()}
    record = make("zero_shot-000", {}, status="finished", results=results)
    return record.of_model(Model(**B16))


@pytest.mark.parametrize("layout", ["imagenet", "domainnet"])
def test_what_agrees_is_not_told(layout: str, record_of: Callable[..., Record]) -> None:
    assert remarks_on(zero_shot(record_of, layout), sweep_of(layout)) == []


def test_what_differs_is_told_with_both_figures(record_of: Callable[..., Record]) -> None:
    (line,) = remarks_on(zero_shot(record_of, "imagenet", id=-0.2, r=0.3), sweep_of("imagenet"))
    assert line == (
        "zero-shot has 68.13 % on id/test, and 68.33 % is published (TRACER, arXiv 2605.29380, Table 1): names, "
        "prompts, crop or classes are others"
    )
    assert len(remarks_on(zero_shot(record_of, "domainnet", sketch=1.5), sweep_of("domainnet"))) == 1


def test_other_data_models_and_methods_are_not_compared(record_of: Callable[..., Record]) -> None:
    wrong = zero_shot(record_of, "imagenet", id=-5.0)
    assert remarks_on(wrong, sweep_of("imagenet"))
    assert remarks_on(wrong, sweep_of("imagenet", templates=["a {}."])) == []
    assert remarks_on(wrong, sweep_of("imagenet", wnids=["n01440764", "n01443537"])) == []
    assert remarks_on(zero_shot(record_of, "domainnet", id=-5.0), sweep_of("domainnet", id="sketch", ood="real")) == []
    assert remarks_on(wrong.of_model(Model(name="ViT-B-32", pretrained="openai")), sweep_of("imagenet")) == []
    full = record_of("full-000", status="finished", results=wrong.results).of_model(Model(**B16))
    assert remarks_on(full, sweep_of("imagenet")) == []
