"""Evaluation counts what a naive loop over the images counts, on every split and for every share of workers."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch._dynamo.testing import CompileCounter

from fpray.data import loading
from fpray.data.base import Split
from fpray.model.classifier import Classifier
from fpray.model.reference import Reference
from fpray.records.record import Count
from fpray.training.evaluate import Evaluator, Predictions
from fpray.training.runtime import Runtime


def moved(reference: Reference) -> Classifier:
    """A classifier that is neither perfect nor at chance, with features of its own."""
    torch.manual_seed(4)
    classifier = copy.deepcopy(reference.classifier)
    with torch.no_grad():
        classifier.encoder.proj.add_(0.1 * torch.randn_like(classifier.encoder.proj))
        classifier.head.weight.copy_(torch.randn_like(classifier.head.weight))
    return classifier


def naively(classifier: Classifier, reference: Reference, split: Split) -> list[bool]:
    images, right = reference.dataset.images(split), []
    for index in range(len(images)):
        with torch.no_grad():
            logits = classifier(reference.loaded.preprocess(images[index])[None])[0].tolist()
        right.append(logits.index(max(logits)) == images.labels[index])
    return right


def test_classes_probabilities_and_losses_are_the_logits(reference: Reference, alone: Runtime) -> None:
    classifier, split = moved(reference), Split("id", "plain", "test")
    images, found = reference.dataset.images(split), predict(moved(reference), reference, split, alone).images
    with torch.no_grad():
        logits = torch.cat([classifier(reference.loaded.preprocess(images[i])[None]) for i in range(len(images))])
    labels = torch.tensor(images.labels)
    torch.testing.assert_close(
        torch.tensor(found.confidences).float(), logits.softmax(-1).amax(-1), rtol=1e-3, atol=1e-3
    )
    expected = F.cross_entropy(logits, labels, reduction="none")
    torch.testing.assert_close(torch.tensor(found.losses).float(), expected, rtol=2e-3, atol=1e-3)
    assert found.classes.tolist() == logits.argmax(-1).tolist() and found.labels.tolist() == labels.tolist()


def predict(classifier: Classifier, reference: Reference, split: Split, alone: Runtime) -> Predictions:
    return Evaluator(reference, [split], alone, None).predict(classifier)[split.name]


def test_counts_equal_a_naive_loop(reference: Reference, alone: Runtime) -> None:
    classifier = moved(reference)
    counts = set()
    for split in reference.dataset.splits():
        expected = naively(classifier, reference, split)
        predictions = predict(classifier, reference, split, alone)
        assert predictions.images.correct.tolist() == expected
        assert predictions.count == Count(correct=sum(expected), total=len(expected))
        counts.add(sum(expected) / len(expected))
    assert len(counts) > 2 and max(counts) > 0 and min(counts) < 1


def test_a_compiled_encoder_is_compiled_once_for_whole_batches_and_the_last(
    reference: Reference, alone: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier, compilations = moved(reference), CompileCounter()
    expected = Evaluator(reference, [Split("id", "plain", "test")], alone, None).predict(classifier)
    monkeypatch.setitem(loading.EVALUATED_AT_ONCE, "cpu", 8)  # 8, 8 and 5
    classifier.encoder.compile(backend=compilations)
    found = Evaluator(reference, [Split("id", "plain", "test")], alone, None).predict(classifier)
    assert compilations.frame_count == 1
    assert found["id/test"].images.correct.tolist() == expected["id/test"].images.correct.tolist()


@pytest.mark.parametrize("loaders", [0, 1])
def test_splits_evaluated_together_are_as_each_alone(loaders: int, reference: Reference, alone: Runtime) -> None:
    classifier, splits = moved(reference), [s for s in reference.dataset.splits() if s.part != "train"]
    together = Evaluator(dataclasses.replace(reference, loader_workers=loaders), splits, alone, None)
    for _ in range(2):  # the loader stays
        found = together.predict(classifier)
        assert list(found) == [split.name for split in splits]
        for split in splits:
            one = predict(classifier, reference, split, alone)
            assert found[split.name].images.correct.tolist() == one.images.correct.tolist()
            torch.testing.assert_close(found[split.name].features, one.features)


def test_features_are_the_classifiers_own(reference: Reference, alone: Runtime, pixels: torch.Tensor) -> None:
    classifier, split = moved(reference), Split("id", "plain", "val")
    ours = predict(classifier, reference, split, alone).features
    with torch.no_grad():
        torch.testing.assert_close(ours, F.normalize(classifier.encoder(pixels), dim=-1))
    assert not torch.allclose(ours, reference.features(split), atol=1e-3)


def test_a_frozen_encoder_uses_the_references_features(
    reference: Reference, alone: Runtime, pixels: torch.Tensor
) -> None:
    head = moved(reference).head
    probe, split = Classifier(reference.classifier.encoder, head), Split("id", "plain", "val")
    predictions = predict(probe, reference, split, alone)
    with torch.no_grad():
        torch.testing.assert_close(predictions.features, reference.classifier.features(pixels))
    assert predictions.images.correct.tolist() == naively(probe, reference, split)


def test_bfloat16_changes_the_logits_little(reference: Reference, alone: Runtime) -> None:
    classifier, split = moved(reference), Split("id", "plain", "test")
    exact = predict(classifier, reference, split, alone)
    rounded = Evaluator(reference, [split], alone, torch.bfloat16).predict(classifier)[split.name]
    assert rounded.features.dtype == torch.float32
    assert not torch.equal(rounded.features, exact.features)
    torch.testing.assert_close(rounded.features, exact.features, rtol=0, atol=0.03)


def test_evaluation_leaves_the_classifier_in_eval_mode_without_gradients(reference: Reference, alone: Runtime) -> None:
    classifier = moved(reference).requires_grad_(True).train()
    predictions = predict(classifier, reference, Split("ood", "dark", "val"), alone)
    assert not predictions.features.requires_grad
    assert not any(module.training for module in classifier.modules())


def test_workers_shares_cover_every_image_once() -> None:
    for size in (0, 1, 7, 12):
        for world_size in (1, 2, 5):
            shares = [Runtime(torch.device("cpu"), rank, world_size).share_of(size) for rank in range(world_size)]
            assert sorted(i for share in shares for i in share) == list(range(size))
