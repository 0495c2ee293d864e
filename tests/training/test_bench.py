"""The bench: one half of the ID validation images, and what a trial that learns from it records."""

from __future__ import annotations

import numpy as np
import torch

from fpray.data import Split
from fpray.model import Reference
from fpray.records import SEEN, ImageResults
from fpray.training import Runtime, ValidationBench
from fpray.training.bench import seen_half
from fpray.training.evaluate import Evaluator

VALIDATION = Split("id", "plain", "val")


def test_a_half_is_always_the_same_and_knows_no_order() -> None:
    assert seen_half(1001).sum() == 500
    assert np.array_equal(seen_half(1001), seen_half(1001))
    assert 200 < seen_half(1000)[::2].sum() < 300  # labels often lie in turn


def test_its_accuracy_is_that_of_its_half(reference: Reference, alone: Runtime) -> None:
    bench = ValidationBench(reference, alone, None, 128)
    images = Evaluator(reference, [VALIDATION], alone, None).predict(reference.classifier)["id/val"].images
    assert bench.accuracy(reference.classifier) == np.float32(images.correct[bench.seen].mean())
    rest = images.without(bench.seen)
    assert rest.counted.sum() == 9
    assert rest.correct.sum() == images.correct[~bench.seen].sum()
    assert set(rest.classes[bench.seen]) == {SEEN} and np.isnan(rest.confidences[bench.seen]).all()


def test_its_batches_are_of_its_half_and_always_the_same(reference: Reference, alone: Runtime) -> None:
    bench = ValidationBench(reference, alone, None, 128)
    pixels = reference.dataset.images(VALIDATION)
    known = {round(reference.loaded.preprocess(pixels[i]).mean().item(), 4) for i in np.flatnonzero(bench.seen)}
    first, again = (list(bench.batches(7, 4)) for _ in range(2))
    assert [len(batch["labels"]) for batch in first] == [4] * 7
    assert {round(image.mean().item(), 4) for batch in first for image in batch["images"]} == known
    assert all(torch.equal(a["images"], b["images"]) for a, b in zip(first, again, strict=True))
    assert len({tuple(batch["labels"].tolist()) for batch in first}) > 1


def test_results_without_an_image_keep_their_places() -> None:
    labels = np.arange(4, dtype=np.uint16)
    own = ImageResults(labels, labels.copy(), np.ones(4, np.float16), np.zeros(4, np.float16))
    rest = own.without(np.array([True, False, False, True]))
    assert rest.counted.tolist() == [False, True, True, False]
    assert rest.correct.tolist() == [False, True, True, False]
    assert own.correct.all()
