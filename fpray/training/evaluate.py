"""Evaluation: which images of some splits a classifier gets right."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from fpray.data import Batch, Split
from fpray.model import Classifier, Reference
from fpray.records import LARGEST_LOSS, UNREADABLE, Count, ImageResults
from fpray.training.runtime import Runtime

AT_ONCE = 4
"""The batches that each of several classifiers is given in a row: to ask for one may take a small model's tenth."""


ROWS = 4096
"""The images whose logits are in memory at a time, in double precision: a thousand classes take 33 MB then."""


@dataclass(frozen=True)
class Predictions:
    """A split's features, [images, embed_dim], and what each image was taken for."""

    features: Tensor
    images: ImageResults

    def without(self, seen: NDArray[np.bool_]) -> Predictions:
        """The predictions where some images don't count."""
        return Predictions(self.features, self.images.without(seen))

    @property
    def count(self) -> Count:
        return Count(correct=int(self.images.correct.sum()), total=int(self.images.counted.sum()))


class Evaluator:
    """Classifies every image of some splits once, shared out over the trial's workers; an unreadable one counts as
    wrong. One loader serves all the splits, and stays for the next classifier."""

    def __init__(
        self, reference: Reference, splits: Sequence[Split], runtime: Runtime, autocast: torch.dtype | None
    ) -> None:
        self._reference, self._splits, self._runtime, self._autocast = reference, splits, runtime, autocast
        self._sizes = [len(reference.dataset.images(split)) for split in splits]
        self._batches: DataLoader[Batch] | None = None

    def predict(self, classifier: Classifier) -> dict[str, Predictions]:
        """The predictions on each split, by its name."""
        classifier.eval()
        return self.predict_each([lambda: classifier])[0]

    @torch.no_grad()
    def predict_each(self, classifiers: Sequence[Callable[[], Classifier]]) -> list[dict[str, Predictions]]:
        """The predictions of several classifiers, in one pass over the images.

        Args:
            classifiers: each gives its classifier, in `eval` mode, whenever it is asked; which may be the same one with
                other weights.
        """
        if not self._splits:
            return [{} for _ in classifiers]
        with torch.autocast(self._runtime.device.type, dtype=self._autocast, enabled=self._autocast is not None):
            features = self._features(classifiers)
        return [
            {
                split.name: self._predictions(ask(), split, own)
                for split, own in zip(self._splits, of_splits, strict=True)
            }
            for ask, of_splits in zip(classifiers, features, strict=True)
        ]

    def _predictions(self, classifier: Classifier, split: Split, features: Tensor) -> Predictions:
        images = self._reference.dataset.images(split)
        labels = torch.as_tensor(images.labels, device=features.device)
        rows = zip(torch.split(features, ROWS), torch.split(labels, ROWS), strict=True)
        judged = [self._judged(classifier, split, *some) for some in rows]
        classes, confidences, losses = (torch.cat(column) for column in zip(*judged, strict=True))
        if images.unreadable is not None:
            unreadable = self._runtime.any(images.unreadable).to(features.device)
            classes[unreadable], confidences[unreadable], losses[unreadable] = UNREADABLE, math.nan, math.nan
        return Predictions(
            features,
            ImageResults(
                labels=labels.cpu().numpy().astype(np.uint16),
                classes=classes.cpu().numpy().astype(np.uint16),
                confidences=confidences.cpu().numpy().astype(np.float16),
                losses=losses.clamp(max=LARGEST_LOSS).cpu().numpy().astype(np.float16),
            ),
        )

    def _judged(
        self, classifier: Classifier, split: Split, features: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Each image's most probable class, that class's probability, and the cross-entropy."""
        weight, bias = classifier.head.weight.double(), classifier.head.bias.double()
        logits = F.linear(features.double(), weight, bias)  # not in bf16 or tf32, where logits tie
        if (groups := self._reference.dataset.groups(split)) is not None:
            logits = torch.stack([logits[:, list(group)].amax(dim=-1) for group in groups], dim=-1)
        classes, logs = logits.argmax(dim=-1), logits.log_softmax(dim=-1)
        each = torch.arange(len(labels), device=logits.device)
        return classes, logs[each, classes].exp(), -logs[each, labels]

    def _features(self, classifiers: Sequence[Callable[[], Classifier]]) -> list[list[Tensor]]:
        """The features of each split, by each classifier."""
        frozen = [ask().encoder is self._reference.classifier.encoder for ask in classifiers]
        computed: list[list[Tensor]] = [[] for _ in classifiers]
        images = iter(() if all(frozen) else self._images())
        while some := list(islice(images, AT_ONCE if len(classifiers) > 1 else 1)):
            for ask, known, own in zip(classifiers, frozen, computed, strict=True):
                if not known:
                    own += self._of(ask(), some)
        return [
            self._known_features() if known else self._gathered(own)
            for known, own in zip(frozen, computed, strict=True)
        ]

    def _of(self, classifier: Classifier, images: Sequence[Tensor]) -> Iterator[Tensor]:
        for batch in images:
            self._runtime.beat()
            yield classifier.features(batch).float()

    def _images(self) -> Iterator[Tensor]:
        """Batches of this worker's share of the splits, as the image tower takes them."""
        if self._batches is None:
            self._batches = self._reference.in_order(dict(zip(self._splits, self._shares(), strict=True)))
        for batch in self._batches:
            images = self._reference.on_device(batch)["images"]
            torch._dynamo.maybe_mark_dynamic(images, 0)  # compiled once, for the smaller last batch too
            yield images

    def _shares(self) -> list[range]:
        return [self._runtime.share_of(size) for size in self._sizes]

    def _known_features(self) -> list[Tensor]:
        return [self._reference.features(split).to(self._runtime.device) for split in self._splits]

    def _gathered(self, computed: Sequence[Tensor]) -> list[Tensor]:
        """The features of each split, of this worker's batches and the others'."""
        own = torch.split(torch.cat(list(computed)), [len(share) for share in self._shares()])
        return [self._runtime.gather(part, size) for part, size in zip(own, self._sizes, strict=True)]
