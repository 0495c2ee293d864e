"""Mixup and label smoothing: what the losses take is what the formulas say, for every method."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fpray.config.augment import Augment
from fpray.config.train import Train
from fpray.methods import METHODS, Batch
from fpray.model.reference import Reference
from fpray.seeds import epoch_seed
from fpray.testing import first_batch
from fpray.training.mixing import mixed
from fpray.training.runtime import Runtime
from fpray.training.step import Stepper
from tests.training.test_loop import TRAINED, build

CLASSES, IMAGES = 4, 7
LABELS = torch.tensor([0, 3, 1, 1, 2, 0, 3])


def told_apart() -> Batch:
    """Images of which each has a pixel of its own, so that a mixed one says what it is mixed of."""
    return {"images": torch.eye(IMAGES).view(IMAGES, 1, 1, IMAGES), "labels": LABELS, "draws": torch.arange(IMAGES)}


def shares(images: Tensor) -> tuple[float, Tensor]:
    """Of mixed images: the first one's share, and which image each is mixed with."""
    rows = images.flatten(1)
    own = rows.diagonal()
    others = rows - torch.diag(own)
    (share,) = set(own[own < 1].tolist())  # one that is mixed with itself has all
    return share, torch.where(own < 1, others.argmax(dim=1), torch.arange(len(rows)))


def test_without_both_a_batch_is_as_it_is_and_no_number_is_drawn() -> None:
    batch = told_apart()
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    assert mixed(batch, Augment(scale=(0.1, 1.0), flip=0.5), CLASSES) is batch
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(5))
def test_mixups_loss_is_that_of_both_labels_by_their_shares(seed: int, smoothing: float) -> None:
    torch.manual_seed(seed)
    batch = mixed(told_apart(), Augment(mixup=0.7, label_smoothing=smoothing), CLASSES)
    assert torch.equal(batch["draws"], torch.arange(IMAGES))
    share, order = shares(batch["images"])
    assert 0 < share < 1 and sorted(order.tolist()) == list(range(IMAGES))
    logits = batch["images"].flatten(1) @ torch.randn(IMAGES, CLASSES)
    one, other = (F.cross_entropy(logits, labels, label_smoothing=smoothing) for labels in (LABELS, LABELS[order]))
    torch.testing.assert_close(F.cross_entropy(logits, batch["labels"]), share * one + (1 - share) * other)


def test_smoothing_is_torchs_own() -> None:
    batch, logits = mixed(told_apart(), Augment(label_smoothing=0.2), CLASSES), torch.randn(IMAGES, CLASSES)
    assert torch.equal(batch["images"], told_apart()["images"])
    torch.testing.assert_close(
        F.cross_entropy(logits, batch["labels"]), F.cross_entropy(logits, LABELS, label_smoothing=0.2)
    )


@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_shares_are_from_a_beta_distribution(alpha: float) -> None:
    torch.manual_seed(0)
    drawn = torch.stack([mixed(told_apart(), Augment(mixup=alpha), CLASSES)["images"] for _ in range(3000)])
    found = drawn.flatten(2).diagonal(dim1=1, dim2=2).min(dim=1).values  # the least: one may be mixed with itself
    assert float(found.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(found.var()) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.06)


def test_workers_and_epochs_mix_in_other_ways() -> None:
    found = []
    for epoch, rank in ((0, 0), (0, 1), (1, 0), (0, 0)):
        torch.manual_seed(epoch_seed(3, epoch, rank))
        found.append(mixed(told_apart(), Augment(mixup=0.7), CLASSES)["images"])
    assert torch.equal(found[0], found[3])
    assert not any(torch.equal(found[0], other) for other in found[1:3])


def test_what_a_batch_has_besides_is_mixed_alike() -> None:
    more = {**told_apart(), "features": torch.eye(IMAGES), "numbers": torch.arange(IMAGES)}
    torch.manual_seed(0)
    batch = mixed(more, Augment(mixup=0.7), CLASSES)
    assert torch.equal(batch["features"], batch["images"].flatten(1))
    assert torch.equal(batch["numbers"], torch.arange(IMAGES))


@pytest.mark.parametrize("name", [name for name in TRAINED if not METHODS[name].compares_images])
def test_every_methods_losses_are_those_of_both_labels_by_their_shares(name: str, reference: Reference) -> None:
    """Without its knowing: what it gives for each of the labels, as integers, is what it is held to."""
    method = build(name, reference).eval()
    batch = {**first_batch(method), "told": torch.eye(12)}
    torch.manual_seed(2)
    soft = mixed(batch, Augment(mixup=0.7), 3)
    share, order = shares(soft["told"])
    assert len(set(batch["labels"].tolist())) == 3 and not torch.equal(order, torch.arange(12))
    with torch.no_grad():
        both, one, other = (
            method({**soft, "labels": labels}) for labels in (soft["labels"], batch["labels"], batch["labels"][order])
        )
    assert both["cross_entropy"].isfinite() and one["cross_entropy"] != other["cross_entropy"]
    assert both.keys() == one.keys()
    for loss, value in both.items():
        torch.testing.assert_close(value, share * one[loss] + (1 - share) * other[loss])


@pytest.mark.parametrize("settings", [{}, {"accumulate": 3}, {"precision": "bf16"}], ids=str)
def test_a_step_is_taken_on_what_was_mixed(settings: dict[str, Any], reference: Reference, alone: Runtime) -> None:
    """The whole of a worker's share is mixed, and cut in parts afterwards."""
    augment, method = Augment(mixup=0.7, label_smoothing=0.2), build("full", reference)
    batch = first_batch(method)
    torch.manual_seed(5)
    soft = mixed(batch, augment, 3)
    with torch.no_grad():
        expected = F.cross_entropy(method.classifier(soft["images"]), soft["labels"])
    stepper = Stepper(method.train(), Train(batch_size=12, augment=augment, **settings), alone, steps=2)
    torch.manual_seed(5)
    (loss,) = stepper.step(batch, 0.5).values()
    torch.testing.assert_close(loss, expected, rtol=3e-2 if "precision" in settings else 1e-5, atol=0)


def test_what_is_replayed_is_not_mixed() -> None:
    replayed = torch.rand(3, 1, 1, IMAGES)
    batch = {**told_apart(), "replayed": replayed}
    found = mixed(batch, Augment(mixup=1.0, label_smoothing=0.1), CLASSES)
    assert found["replayed"] is replayed and not torch.equal(found["images"], batch["images"])
