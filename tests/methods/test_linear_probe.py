"""The linear probe: it trains on the features of the plain training images, and shares the frozen encoder."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch.utils.data import default_collate

from fpray.data.base import Split
from fpray.methods.linear_probe import LinearProbe
from fpray.model.reference import Reference


def test_it_trains_on_the_frozen_features_of_the_plain_images(reference: Reference) -> None:
    split = Split("id", "plain", "train")
    images = reference.dataset.images(split)
    data = LinearProbe.make({"lr": 0.01}, reference).training_data(split)
    pixels = torch.stack([reference.loaded.preprocess(images[i]) for i in range(len(images))])
    with torch.no_grad():
        expected = F.normalize(reference.loaded.clip.visual(pixels), dim=-1)
    batch = default_collate([data[i] for i in range(len(images))])
    torch.testing.assert_close(batch["features"], expected)
    assert batch["labels"].tolist() == list(images.labels)


def test_the_head_is_a_copy_and_the_encoder_is_shared_and_stays_in_eval_mode(reference: Reference) -> None:
    probe = LinearProbe.make({"lr": 0.01}, reference).train()
    assert probe.classifier.head is not reference.classifier.head
    assert probe.classifier.encoder is reference.classifier.encoder
    assert probe.classifier.head.training
    assert not any(module.training for module in reference.classifier.modules())
    assert {key for key, p in probe.named_parameters() if p.requires_grad} == {
        "classifier.head.weight",
        "classifier.head.bias",
    }
