"""Soups and Model Stock: means of finished trials' weights, and which of them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from fpray.config import Sweep
from fpray.data import Batch
from fpray.methods import METHODS
from fpray.methods.greedy_soup import GreedySoup
from fpray.methods.model_stock import stock
from fpray.model import Classifier, Reference, weights_of
from fpray.training import Runtime, ValidationBench

Weights = Mapping[str, Tensor]


def moved(reference: Reference, seed: int, far: float = 0.05) -> Weights:
    classifier, generator = copy.deepcopy(reference.classifier), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in classifier.parameters():
            parameter.add_(far * torch.randn(parameter.shape, generator=generator))
    return weights_of(classifier)


def left(name: str, reference: Reference, sources: Sequence[Weights], **params: Any) -> Weights:
    method = METHODS[name].make(params, reference)
    method.take_sources(sources)
    if method.learns_from_validation:
        method.finish(ValidationBench(reference, Runtime(torch.device("cpu")), None, 128))
    return weights_of(method.plain())


class Scripted:
    """A bench that says of a mean of weights what the test has for its ingredients."""

    def __init__(self, sources: Sequence[Weights], accuracies: Mapping[frozenset[int], float]) -> None:
        self.means = {
            names: torch.stack([sources[n]["head.weight"] for n in names]).mean(dim=0) for names in accuracies
        }
        self.accuracies, self.asked = accuracies, list[frozenset[int]]()

    def accuracy(self, classifier: Classifier) -> float:
        (found,) = (n for n, mean in self.means.items() if torch.allclose(mean, classifier.head.weight, atol=1e-6))
        self.asked.append(found)
        return self.accuracies[found]

    def batches(self, number: int, batch_size: int) -> Iterator[Batch]:
        raise NotImplementedError


def test_a_uniform_soup_is_the_mean_of_the_first(reference: Reference) -> None:
    sources = [moved(reference, seed) for seed in range(4)]
    for ingredients in (1, 3, 9):
        found = left("uniform_soup", reference, sources, ingredients=ingredients)
        for key, value in found.items():
            torch.testing.assert_close(value, torch.stack([own[key] for own in sources[:ingredients]]).mean(dim=0))


def test_a_soup_of_equal_weights_is_itself(reference: Reference) -> None:
    source = moved(reference, 0)
    for name, params in (("uniform_soup", {"ingredients": 3}), ("greedy_soup", {})):
        for key, value in left(name, reference, [source] * 3, **params).items():
            torch.testing.assert_close(value, source[key])


def test_a_greedy_soup_takes_what_makes_it_better(reference: Reference) -> None:
    """In the order of their own accuracies 1, 3, 0, 2: 3 is as good as without it, and 0 makes it better."""
    sources = [moved(reference, seed) for seed in range(4)]
    accuracies = {
        frozenset({0}): 0.6,
        frozenset({1}): 0.8,
        frozenset({2}): 0.5,
        frozenset({3}): 0.7,
        frozenset({1, 3}): 0.8,
        frozenset({0, 1}): 0.85,
        frozenset({0, 1, 2}): 0.7,
    }
    method, bench = GreedySoup.make({}, reference), Scripted(sources, accuracies)
    method.take_sources(sources)
    method.finish(bench)
    assert bench.asked[4:] == [{1, 3}, {0, 1}, {0, 1, 2}]
    assert method.kept == [1, 0]
    for key, value in weights_of(method.plain()).items():
        torch.testing.assert_close(value, (sources[1][key] + sources[0][key]) / 2)


def test_a_greedy_soup_is_never_below_the_best_alone_whatever_the_order(reference: Reference) -> None:
    sources = [moved(reference, seed, 0.02 * (seed + 1)) for seed in range(5)]
    bench = ValidationBench(reference, Runtime(torch.device("cpu")), None, 128)
    reached = []
    for order in (sources, sources[::-1], sources[2:] + sources[:2]):
        method = GreedySoup.make({}, reference)
        method.take_sources(order)
        method.finish(bench)
        reached.append(bench.accuracy(method.plain()))
    classifiers = [left("uniform_soup", reference, [own], ingredients=1) for own in sources]
    alone = []
    for own in classifiers:
        classifier = copy.deepcopy(reference.classifier)
        classifier.load_state_dict({key.replace("visual.", "encoder."): value for key, value in own.items()})
        alone.append(bench.accuracy(classifier))
    assert min(reached) >= max(alone)


def test_model_stocks_ratio_comes_from_the_angle() -> None:
    start, across, along = torch.zeros(2, 2), torch.tensor([[1.0, 0], [0, 0]]), torch.tensor([[0.0, 0], [2, 0]])
    torch.testing.assert_close(stock(start, [across, across]), across)  # no angle: the mean
    torch.testing.assert_close(stock(start, [across, along]), start)  # a right angle: the pre-trained weights
    torch.testing.assert_close(stock(start, [across, -across]), start)  # a wider one, too
    assert torch.equal(stock(start, [start, start]), start)
    # 60 degrees between two: t = 2 * 0.5 / 1.5; between three, t = 3 * 0.5 / 2.
    at = [torch.tensor([1.0, 1, 0]), torch.tensor([1.0, 0, 1]), torch.tensor([0.0, 1, 1])]
    torch.testing.assert_close(stock(torch.zeros(3), at[:2]), 2 / 3 * (at[0] + at[1]) / 2)
    torch.testing.assert_close(stock(torch.zeros(3), at), 3 / 4 * (at[0] + at[1] + at[2]) / 3)
    assert torch.equal(stock(torch.tensor(3), [torch.tensor(5), torch.tensor(7)]), torch.tensor(5))


def test_model_stock_lies_nearest_to_w0_on_the_line_to_the_mean(reference: Reference) -> None:
    """The paper's geometry: of all points between w0 and the mean, it is where the change is at a right angle to the
    difference between the points' mean and the fine-tuned weights' sphere; for two of one length, |w|^2 = <w, w1>."""
    source = moved(reference, 0)
    other = {key: value.clone() for key, value in source.items()}
    start = weights_of(reference.classifier)
    flipped = (source["head.weight"] - start["head.weight"]).flip(0)
    other["head.weight"] = start["head.weight"] + flipped  # of the same length, at an angle
    own = left("model_stock", reference, [source, other])
    change, first, mean = (
        (w["head.weight"] - start["head.weight"]).flatten()
        for w in (own, source, {"head.weight": (source["head.weight"] + other["head.weight"]) / 2})
    )
    cosine = torch.nn.functional.cosine_similarity(first, flipped.flatten(), dim=0).clamp(min=0)
    torch.testing.assert_close(change, 2 * cosine / (1 + cosine) * mean, atol=1e-6, rtol=1e-4)
    for key in ("visual.conv1.weight", "head.bias"):
        torch.testing.assert_close(own[key], source[key])


def test_model_stock_needs_two_seeds() -> None:
    with pytest.raises(ValidationError, match=r"train\.seeds has one; write seeds: \[0, 1\]"):
        Sweep.model_validate({"name": "any", "methods": ["full", "model_stock"]})
    assert "model_stock" not in Sweep.model_validate({"name": "any", "methods": "all"}).methods
    both = {"name": "any", "methods": "all", "train": {"seeds": [0, 1]}}
    assert "model_stock" in Sweep.model_validate(both).methods


def test_a_greedy_soup_is_one_trial() -> None:
    written = {"name": "any", "methods": {"full": {}, "greedy_soup": {"trials": 2}}}
    with pytest.raises(ValidationError, match="2 trials are too many"):
        Sweep.model_validate(written)
