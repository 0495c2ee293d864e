"""The tests that every method must pass."""

from __future__ import annotations

import copy
import gc
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pytest
import torch
from open_clip.model import CLIP
from torch import Tensor
from torch.utils.data import default_collate

from fpray.config import Sweep, Train
from fpray.data import Batch, Split
from fpray.methods import Course, Method, TrainedMethod
from fpray.model import Classifier, Reference, load_weights, weights_of
from fpray.records import Epoch
from fpray.space import Params
from fpray.testing.registering import registered
from fpray.testing.small import TINY, small_reference
from fpray.training import Runtime, ValidationBench, train

REPLAYED = {"source": "pretraining"}
SETTINGS = Train(epochs=4, batch_size=16, warmup_steps=0)


class MethodConformance:
    """Tests of one method; make a subclass of it for yours.

    They train it for a few steps on small data. Where the method needs something else than the defaults here,
    override `params`, `sources` or `expected`.
    """

    method: ClassVar[type[Method[Any]]]

    def __init_subclass__(cls) -> None:
        if not issubclass(cls.method, TrainedMethod):
            for name in TESTS_OF_TRAINING:
                setattr(cls, name, None)  # so pytest doesn't run it
        elif cls.method.compares_images:
            for name in TESTS_OF_IMAGES_APART:
                setattr(cls, name, None)

    def params(self) -> Params:
        """The hyperparameters tried: of each default search dimension the last, so usually the largest, value."""
        with registered(self.method):
            written = {"methods": [self.method.name, *(self.method.builds_on or ())], "train": {"seeds": [0, 1]}}
            sweep = Sweep.model_validate({"name": "any", "data": {"rehearsal": REPLAYED}} | written)
        space = sweep.methods[self.method.name].space()
        return {name: dimension.extremes()[-1] for name, dimension in space.items()}

    def sources(self, reference: Reference) -> list[Mapping[str, Tensor]]:
        """For a method that builds on others, the weights of their trials, away from the reference: one, or two for
        one that takes several."""
        both = [_moved(reference, seed) for seed in (7, 8)]
        return both if self.method.takes in ("pair", "all") else both[:1]

    def expected(self, method: Any) -> Classifier:
        """For a `TrainedMethod`, the classifier whose logits `plain()` must have: the one that was validated."""
        classifier: Classifier = method.current()
        return classifier

    def build(self, reference: Reference, **overrides: float) -> Any:
        """The method as it is at the beginning of a trial."""
        torch.manual_seed(0)
        method = self.method.make(self.params() | overrides, reference)
        if self.method.builds_on is not None:
            method.take_sources(self.sources(reference))
        if self.method.learns_from_validation:
            method.finish(ValidationBench(reference, Runtime(reference.device), None, 128))
        if isinstance(method, TrainedMethod):
            method.begin(Course([1.0, 0.5], SETTINGS.clip_grad_norm))
        return method

    def trained(self, reference: Reference, **overrides: float) -> tuple[Any, tuple[Epoch, ...]]:
        """The method as it is at the end of a trial, and what each epoch gave."""
        method = self.build(reference, **overrides)
        if not isinstance(method, TrainedMethod):
            return method, ()
        runtime, splits = Runtime(torch.device("cpu")), reference.dataset.splits()
        return method, train(method, SETTINGS, 0, splits, runtime, None, lambda checkpoint: None).history

    def quick(self) -> float:
        """A learning rate at which a few steps go far."""
        return max(3e-3, float(self.params()["lr"]))

    @pytest.fixture
    def reference(self) -> Iterator[Reference]:
        """The reference, which trials in the same process share: so nothing may change it."""
        reference = small_reference()
        modules = (reference.classifier, reference.loaded.clip)
        before = [{key: value.clone() for key, value in m.state_dict().items()} for m in modules]
        yield reference
        for module, weights in zip(modules, before, strict=True):
            after = module.state_dict()
            assert after.keys() == weights.keys()
            assert all(torch.equal(after[key], weights[key]) for key in weights)
            assert not any(p.requires_grad or p.grad is not None for p in module.parameters())
            assert not any(part.training for part in module.modules())

    @pytest.fixture
    def pixels(self, reference: Reference) -> Tensor:
        """The preprocessed images of `id/val`, [18, 3, 32, 32]."""
        images = reference.dataset.images(Split("id", "plain", "val"))
        return torch.stack([reference.loaded.preprocess(images[i]) for i in range(len(images))])

    def test_default_dimensions_give_allowed_hyperparameters(self) -> None:
        params = self.method.Params.model_validate(self.params())
        assert {name: getattr(params, name) for name in self.params()} == self.params()

    def test_losses_are_finite_scalars_and_reach_every_trained_weight(self, reference: Reference) -> None:
        method = self.build(reference).train()
        losses = method(first_batch(method))
        assert losses
        assert all(loss.shape == () and torch.isfinite(loss) for loss in losses.values())
        sum(losses.values()).backward()
        method.add_penalty()
        declared = {key: p for key, p in method.named_parameters() if p.requires_grad}
        assert declared
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in declared.values())
        assert all(p.grad is None for key, p in method.named_parameters() if key not in declared)

    def test_losses_are_means_over_images(self, reference: Reference) -> None:
        method = self.build(reference).eval()
        batch, generator = first_batch(method), torch.Generator().manual_seed(1)
        with torch.no_grad():
            for weight in (p for p in method.parameters() if p.requires_grad):
                # Away from the reference: there a distance to it is 0, as a sum as well as as a mean.
                weight.add_(0.03 * torch.randn(weight.shape, generator=generator))
            whole = method(batch)
            first = method({key: value[:4] for key, value in batch.items()})
            rest = method({key: value[4:] for key, value in batch.items()})
        assert first.keys() == rest.keys() == whole.keys()
        for name, loss in whole.items():
            torch.testing.assert_close(first[name] / 3 + rest[name] * 2 / 3, loss, rtol=1e-4, atol=1e-6)

    def test_labels_may_be_probabilities(self, reference: Reference) -> None:
        """As mixup and label smoothing make them (`train.augment`): certain ones are the labels themselves."""
        method = self.build(reference).eval()
        batch, classes = first_batch(method), len(reference.dataset.classes)
        certain = torch.nn.functional.one_hot(batch["labels"], classes).float()
        with torch.no_grad():
            by_labels = method(batch)
            by_certain, by_smooth = (method({**batch, "labels": own}) for own in (certain, 0.7 * certain + 0.1))
        assert by_labels.keys() == by_certain.keys() == by_smooth.keys()
        for name, loss in by_labels.items():
            torch.testing.assert_close(by_certain[name], loss)
            assert torch.isfinite(by_smooth[name])

    def test_training_changes_what_is_declared_and_nothing_else(self, reference: Reference) -> None:
        before = {key: p.detach().clone() for key, p in self.build(reference).named_parameters()}
        method, _ = self.trained(reference)
        for key, parameter in method.named_parameters():
            assert torch.equal(parameter, before[key]) is not parameter.requires_grad, key
        with torch.no_grad():
            first, now = (own.fixed(first_batch(own)) for own in (self.build(reference).eval(), method.eval()))
        assert (first is None and now is None) or torch.equal(first, now), "what is fixed has changed"

    def test_the_loss_falls(self, reference: Reference) -> None:
        _, history = self.trained(reference, lr=self.quick())
        first, last = (sum(history[i].losses.values()) for i in (0, -1))
        assert last < 0.9 * first

    def test_saved_weights_give_identical_logits(self, reference: Reference, pixels: Tensor) -> None:
        method, _ = self.trained(reference)
        left = method.plain().eval()
        loaded = copy.deepcopy(reference.classifier)
        load_weights(loaded, weights_of(left))
        with torch.no_grad():
            assert torch.equal(loaded(pixels), left(pixels))

    def test_what_is_left_behind_is_the_trained_classifier(self, reference: Reference, pixels: Tensor) -> None:
        method, _ = self.trained(reference, lr=self.quick())
        left = method.plain().eval()
        expected = self.expected(method.eval())
        with torch.no_grad():
            torch.testing.assert_close(left(pixels), expected(pixels), rtol=1e-5, atol=1e-5)
            assert not torch.allclose(left(pixels), reference.classifier(pixels), atol=1e-2)

    def test_what_is_made_to_be_left_behind_is_freed(self, reference: Reference) -> None:
        """What is written in place into a tensor that autograd has saved would hold itself for ever."""
        method, _ = self.trained(reference)
        method.plain()
        before = _tensors_alive()
        method.plain()
        assert _tensors_alive() == before

    def test_weights_load_into_plain_open_clip(self, reference: Reference, pixels: Tensor) -> None:
        method, _ = self.trained(reference)
        left = method.plain().eval()
        weights = weights_of(left)
        visual = {key: value for key, value in weights.items() if key.startswith("visual.")}
        assert weights.keys() - visual.keys() == {"head.weight", "head.bias"}
        fresh = CLIP(**TINY).eval()
        missing, unexpected = fresh.load_state_dict(visual, strict=False)
        assert not unexpected
        assert not [key for key in missing if key.startswith("visual.")]
        with torch.no_grad():
            torch.testing.assert_close(fresh.encode_image(pixels), left.encoder(pixels))


def _tensors_alive() -> int:
    gc.collect()
    return sum(issubclass(type(found), Tensor) for found in gc.get_objects())


def _moved(reference: Reference, seed: int) -> Mapping[str, Tensor]:
    """The reference's weights, each a little away, and all a little in one direction."""
    classifier = copy.deepcopy(reference.classifier)
    with torch.no_grad():
        for parameter in classifier.parameters():
            for own in (0, seed):
                generator = torch.Generator().manual_seed(own)
                parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))
    return weights_of(classifier)


TESTS_OF_IMAGES_APART = ("test_losses_are_means_over_images", "test_labels_may_be_probabilities")
"""They are for methods that don't compare the images of a batch with each other."""
TESTS_OF_TRAINING = (
    "test_losses_are_finite_scalars_and_reach_every_trained_weight",
    "test_losses_are_means_over_images",
    "test_labels_may_be_probabilities",
    "test_training_changes_what_is_declared_and_nothing_else",
    "test_the_loss_falls",
    "test_what_is_left_behind_is_the_trained_classifier",
)
"""They are for methods that train alone."""


def first_batch(method: TrainedMethod[Any]) -> Batch:
    """The first 12 items of the method's training data, and of what it replays, as its losses take them."""
    own, replayed = method.training_data(method.reference.dataset.splits()[0]), method.replayed_data()
    torch.manual_seed(0)
    items = [{**own[index], **(replayed[index] if replayed else {})} for index in range(12)]
    return method.reference.on_device(default_collate(items))
