"""WiSE-FT: the ends of the line are the two models to the bit, and between them each weight is the formula's."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from fpray.methods.wise_ft import WiseFT
from fpray.model.classifier import Classifier, interpolate, weights_of
from fpray.model.reference import Reference


@pytest.fixture(scope="module")
def fine_tuned(reference: Reference) -> Classifier:
    classifier = copy.deepcopy(reference.classifier)
    with torch.no_grad():
        for index, weight in enumerate(classifier.parameters()):
            weight.add_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(index)))
    return classifier


def between(reference: Reference, fine_tuned: Classifier, alpha: float) -> Classifier:
    method = WiseFT.make({"alpha": alpha}, reference)
    method.take_sources([weights_of(fine_tuned)])
    return method.plain().eval()


def test_alpha_0_is_zero_shot_and_alpha_1_is_fine_tuned(
    reference: Reference, fine_tuned: Classifier, pixels: Tensor
) -> None:
    for alpha, end in ((0.0, reference.classifier), (1.0, fine_tuned)):
        classifier = between(reference, fine_tuned, alpha)
        ours, theirs = weights_of(classifier), weights_of(end)
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
        with torch.no_grad():
            assert torch.equal(classifier(pixels), end(pixels))


def test_every_weight_between_is_the_formulas(reference: Reference, fine_tuned: Classifier) -> None:
    start, end = weights_of(reference.classifier), weights_of(fine_tuned)
    ours = weights_of(between(reference, fine_tuned, 0.3))
    assert ours.keys() == start.keys()
    for key in start:
        expected = 0.7 * start[key].double() + 0.3 * end[key].double()
        torch.testing.assert_close(ours[key].double(), expected, rtol=1e-6, atol=1e-6)


def test_counters_are_the_nearer_ends() -> None:
    start, end, between = (torch.nn.BatchNorm1d(2) for _ in range(3))
    start.num_batches_tracked.fill_(3)
    end.num_batches_tracked.fill_(9)
    for alpha, expected in ((0.0, 3), (0.4, 3), (0.5, 9), (1.0, 9)):
        interpolate(start, end, alpha, into=between)
        assert between.num_batches_tracked == expected


def test_the_two_models_stay_as_they_are(reference: Reference, fine_tuned: Classifier) -> None:
    before = {key: value.clone() for key, value in weights_of(fine_tuned).items()}
    first = weights_of(between(reference, fine_tuned, 0.5))
    again = weights_of(between(reference, fine_tuned, 0.5))
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert all(torch.equal(before[key], value) for key, value in weights_of(fine_tuned).items())
