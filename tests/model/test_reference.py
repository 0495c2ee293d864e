"""The reference: its features are computed once and are the frozen model's; training sees augmented images."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from fpray.data.base import Split
from fpray.model.reference import Reference, load_reference

VAL = Split("id", "plain", "val")


def test_features_are_the_frozen_models_in_order_and_kept(reference: Reference, pixels: Tensor) -> None:
    features = reference.features(VAL)
    with torch.no_grad():
        torch.testing.assert_close(features, F.normalize(reference.loaded.clip.encode_image(pixels), dim=-1))
    assert not features.requires_grad
    assert reference.features(VAL) is features
    assert reference.features(Split("id", "plain", "test")).shape == (21, 16)


def test_training_images_are_augmented_with_their_labels(reference: Reference) -> None:
    split = Split("id", "plain", "train")
    images, augmented = reference.dataset.images(split), reference.augmented(split)
    assert len(augmented) == len(images)
    torch.manual_seed(0)
    first, again = augmented[7]["images"], augmented[7]["images"]
    torch.manual_seed(0)
    assert torch.equal(augmented[7]["images"], first)
    assert not torch.equal(again, first)
    assert [int(augmented[i]["labels"]) for i in range(len(images))] == list(images.labels)


def test_it_is_the_pre_trained_model_frozen(tiny_clip: str, reference: Reference) -> None:
    again = load_reference(tiny_clip, None, reference.dataset, torch.device("cpu"))
    assert again.classifier.encoder is again.loaded.clip.visual
    assert not any(p.requires_grad for p in again.classifier.parameters())
    assert not any(module.training for module in again.classifier.modules())
    ours, theirs = again.classifier.state_dict(), reference.classifier.state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_splits_are_named_by_role_domain_and_part() -> None:
    assert (VAL.name, Split("ood", "sketch", "test").name) == ("id/val", "ood/sketch/test")
