"""The suites for strangers find what they are there to find."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fpray.data import Dataset, LabelledImages, Split
from fpray.methods import METHODS, Batch, Method, TrainedMethod, TrainedParams
from fpray.model import Classifier, Reference
from fpray.testing import LayoutConformance, MethodConformance, Squares


class Wrong(TrainedMethod[TrainedParams]):
    """Full fine-tuning; what extends it breaks one rule."""

    name = "wrong"
    Params = TrainedParams


class Summed(Wrong):
    name = "summed"

    def forward(self, batch: Batch) -> Mapping[str, Tensor]:
        return {"sum": F.cross_entropy(self.classifier(batch["images"]), batch["labels"], reduction="sum")}


class SummedDistance(Wrong):
    """Its second loss is a sum too, and 0 as long as nothing was trained."""

    name = "summed_distance"

    def forward(self, batch: Batch) -> Mapping[str, Tensor]:
        moved = self.classifier.features(batch["images"]) - self.reference.classifier.features(batch["images"])
        return {**super().forward(batch), "distance": moved.square().sum()}


class ByIndex(Wrong):
    """It takes labels for numbers of classes."""

    name = "by_index"

    def forward(self, batch: Batch) -> Mapping[str, Tensor]:
        return {"right": -self.classifier(batch["images"]).gather(1, batch["labels"].long().view(12, -1)).mean()}


class Unreached(Wrong):
    name = "unreached"

    def __init__(self, params: TrainedParams, reference: Reference) -> None:
        super().__init__(params, reference)
        self.unused = torch.nn.Parameter(torch.zeros(3))


class Meddling(Wrong):
    name = "meddling"

    def after_step(self, lr_factor: float) -> None:
        with torch.no_grad():
            self.classifier.encoder.conv1.weight.zero_()

    def __init__(self, params: TrainedParams, reference: Reference) -> None:
        super().__init__(params, reference)
        self.classifier.encoder.conv1.requires_grad_(False)


class Stuck(Wrong):
    name = "stuck"

    def after_step(self, lr_factor: float) -> None:
        self.classifier.load_state_dict(self.reference.classifier.state_dict())


class FixedThatIsNot(Wrong):
    name = "fixed_that_is_not"

    def fixed(self, batch: Batch) -> Tensor:
        return self.classifier.features(batch["images"])


class LeavingAnother(Wrong):
    name = "leaving_another"

    def plain(self) -> Classifier:
        left = copy.deepcopy(self.classifier)
        with torch.no_grad():
            left.head.bias.add_(1)
        return left


def suite_of(kind: type[Method[Any]]) -> Any:
    return type("Suite", (MethodConformance,), {"method": kind})()


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        (Summed, "test_losses_are_means_over_images"),
        (SummedDistance, "test_losses_are_means_over_images"),
        (ByIndex, "test_labels_may_be_probabilities"),
        (Unreached, "test_losses_are_finite_scalars_and_reach_every_trained_weight"),
        (Meddling, "test_training_changes_what_is_declared_and_nothing_else"),
        (FixedThatIsNot, "test_training_changes_what_is_declared_and_nothing_else"),
        (Stuck, "test_the_loss_falls"),
    ],
)
def test_a_broken_rule_fails_its_test(kind: type[TrainedMethod[Any]], test: str, reference: Reference) -> None:
    getattr(suite_of(Wrong), test)(reference)
    with pytest.raises(AssertionError):
        getattr(suite_of(kind), test)(reference)


def test_what_is_left_must_be_what_the_method_says_that_it_leaves(reference: Reference, pixels: Tensor) -> None:
    suite = suite_of(LeavingAnother)
    with pytest.raises(AssertionError):
        suite.test_what_is_left_behind_is_the_trained_classifier(reference, pixels)
    suite.expected = lambda method: method.plain()
    suite.test_what_is_left_behind_is_the_trained_classifier(reference, pixels)


def names_of_tests(suite: type) -> set[str]:
    return {name for name in dir(suite) if name.startswith("test_") and callable(getattr(suite, name))}


def test_tests_of_training_are_for_methods_that_train() -> None:
    assert len(names_of_tests(MethodConformance)) == 10
    for kind in METHODS.values():
        expected = 10 - 2 * kind.compares_images if issubclass(kind, TrainedMethod) else 4
        assert len(names_of_tests(type(suite_of(kind)))) == expected


def test_a_teacher_that_training_switches_is_found(pytester: pytest.Pytester) -> None:
    """As a stranger runs it: a file with a method and its suite, and pytest."""
    pytester.makepyfile(
        """
        from fpray.methods import TrainedMethod, TrainedParams
        from fpray.testing import MethodConformance

        class Taught(TrainedMethod[TrainedParams]):
            name = "taught"
            Params = TrainedParams

            def __init__(self, params, reference):
                super().__init__(params, reference)
                self.teacher = reference.classifier

        class TestTaught(MethodConformance):
            method = Taught
        """
    )
    options = ("-n", "0", "-q", "-p", "no:cacheprovider")
    result = pytester.runpytest_subprocess(*options, "-k", "reach_every_trained_weight")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*assert not any(part.training for part in module.modules())*"])


class Overlapping(Squares):
    """Its test images are its validation images."""

    name = "overlapping"

    def images(self, split: Split) -> Any:
        return super().images(Split(split.role, split.domain, "val") if split.part == "test" else split)


def each_split(dataset: Dataset) -> list[tuple[Split, LabelledImages]]:
    return [(split, dataset.images(split)) for split in dataset.splits()]


def test_an_image_in_two_splits_is_found() -> None:
    class Suite(LayoutConformance):
        layout = Squares

    test: Callable[..., None] = Suite().test_no_image_is_in_two_splits
    test(each_split(Squares()))
    with pytest.raises(AssertionError):
        test(each_split(Overlapping()))


def test_a_layout_without_a_section_is_told_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(NotImplementedError, match="override `section`"):
        LayoutConformance.section(tmp_path)
