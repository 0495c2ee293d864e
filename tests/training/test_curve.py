"""A curve's points are what WiSE-FT gives at their alphas, for the forward passes between its ends alone."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from fpray.data import Split
from fpray.methods import METHODS
from fpray.methods.wise_ft import WiseFT
from fpray.model.classifier import Classifier, weights_of
from fpray.model.reference import Reference
from fpray.training.curve import curve_of
from fpray.training.evaluate import Evaluator, Predictions
from fpray.training.runtime import Runtime

PARAMS: dict[str, dict[str, Any]] = {
    "full": {"lr": 1e-3},
    "lora": {"lr": 1e-3, "rank": 4, "alpha": 16.0, "dropout": 0.0, "layers": "both"},
    "linear_probe": {"lr": 1e-2},
}


def moved(name: str, reference: Reference) -> Classifier:
    """What a method leaves, with its trainable weights somewhere else."""
    torch.manual_seed(1)
    method = METHODS[name].make(PARAMS[name], reference)
    with torch.no_grad():
        for weight in method.parameters():
            if weight.requires_grad and weight is not method.classifier.head.weight:
                weight.add_(0.1 * torch.randn_like(weight))
        head = method.classifier.head.weight
        head.add_(1.5 * head.std() * torch.randn_like(head))
    return method.plain()


def validation_of(reference: Reference) -> list[Split]:
    return [split for split in reference.dataset.splits() if split.part == "val"]


def predictions_of(classifier: Classifier, reference: Reference, alone: Runtime) -> dict[str, Predictions]:
    return Evaluator(reference, validation_of(reference), alone, None).predict(classifier)


@pytest.mark.parametrize("name", PARAMS)
def test_each_point_counts_what_wise_ft_counts(name: str, reference: Reference, alone: Runtime) -> None:
    trained = moved(name, reference)
    before = copy.deepcopy((weights_of(reference.classifier), weights_of(trained)))
    curve = curve_of(trained, 6, predictions_of(trained, reference, alone), reference, alone, None)
    assert [point.alpha for point in curve] == [0, 0.2, 0.4, 0.6, 0.8, 1]
    seen = set()
    for point in curve:
        method = WiseFT.make({"alpha": point.alpha}, reference)
        method.take_sources([weights_of(trained)])
        expected = predictions_of(method.plain(), reference, alone)
        assert point.validation == {split: own.count for split, own in expected.items()}
        seen.add(tuple(count.correct for count in point.validation.values()))
    assert len(seen) > 2, "the curve says nothing"
    for classifier, was in zip((reference.classifier, trained), before, strict=True):
        assert all(torch.equal(value, was[key]) for key, value in weights_of(classifier).items())


@pytest.mark.parametrize(("name", "passes"), [("full", 3), ("lora", 3), ("linear_probe", 0)])
def test_the_ends_cost_no_forward_pass_and_a_frozen_encoder_none_at_all(
    name: str, passes: int, reference: Reference, alone: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = moved(name, reference)
    last = predictions_of(trained, reference, alone)
    predictions_of(reference.classifier, reference, alone)  # the reference's features are known from now on
    images, features = [], Classifier.features

    def counted(self: Classifier, batch: torch.Tensor) -> torch.Tensor:
        images.append(len(batch))
        return features(self, batch)

    monkeypatch.setattr(Classifier, "features", counted)
    curve_of(trained, 5, last, reference, alone, None)
    assert sum(images) == passes * sum(len(reference.dataset.images(split)) for split in validation_of(reference))
