"""Evaluation: which images of a split a classifier gets right."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fpray.data import Split, to_device
from fpray.model import Classifier, Reference
from fpray.records import Count
from fpray.training.runtime import Runtime


@dataclass(frozen=True)
class Predictions:
    """A split's features, [images, embed_dim], and whether each image was classified rightly, [images]."""

    features: Tensor
    correct: Tensor

    @property
    def count(self) -> Count:
        return Count(correct=int(self.correct.sum()), total=len(self.correct))


@torch.no_grad()
def predict(
    classifier: Classifier, reference: Reference, split: Split, runtime: Runtime, autocast: torch.dtype | None
) -> Predictions:
    """Classify every image of a split once, shared out over the trial's workers; an unreadable one counts as wrong."""
    classifier.eval()
    images = reference.dataset.images(split)
    with torch.autocast(runtime.device.type, dtype=autocast, enabled=autocast is not None):
        features = _features(classifier, reference, split, runtime)
    weight, bias = classifier.head.weight.double(), classifier.head.bias.double()
    logits = F.linear(features.double(), weight, bias)  # not in bf16 or tf32, where logits tie
    if (groups := reference.dataset.groups(split)) is not None:
        logits = torch.stack([logits[:, list(group)].amax(dim=-1) for group in groups], dim=-1)
    correct = logits.argmax(dim=-1) == torch.as_tensor(images.labels, device=logits.device)
    if images.unreadable is not None:
        correct &= ~runtime.any(images.unreadable).to(correct.device)
    return Predictions(features, correct)


def _features(classifier: Classifier, reference: Reference, split: Split, runtime: Runtime) -> Tensor:
    if classifier.encoder is reference.classifier.encoder:
        return reference.features(split).to(runtime.device)
    size = len(reference.dataset.images(split))
    batches = reference.in_order(split, runtime.share_of(size))
    share = []
    for batch in batches:
        runtime.beat()
        share.append(classifier.features(to_device(batch, runtime.device)["images"]).float())
    return runtime.gather(torch.cat(share), size)
