"""Linear probe: the encoder stays frozen, the head is trained on features that are computed once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from fpray.data import Batch, Items, LabelledImages, Split, UnreadableImageError
from fpray.methods.base import TrainedMethod, TrainedParams
from fpray.model import Reference
from fpray.space import Constant, Log


class KnownFeatures(Items):
    """The `features` of a split's images, [images, embed_dim], and their `labels`; an unreadable image raises."""

    def __init__(self, features: Tensor, images: LabelledImages) -> None:
        self.features, self.images = features, images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Batch:
        if self.images.unreadable is not None and self.images.unreadable[index]:
            raise UnreadableImageError(self.images.name_of(index))
        return {"features": self.features[index], "labels": torch.tensor(int(self.images.labels[index]))}


class LinearProbeParams(TrainedParams):
    """The learning rate and weight decay of the head, which is all that is trained."""

    # The head's rows have the length exp(logit_scale), up to 100: a step must be larger than in the encoder.
    lr: Annotated[float, Field(gt=0), Log(1e-3, 1e-1)]
    """The learning rate of the head; `train.lr` where that is given."""
    # At 1e-2 over DomainNet's 4,628 steps, a decay of 0.1 alone would shrink the head by 90 %.
    weight_decay: Annotated[float | None, Field(ge=0), Constant(0.0)] = None
    """AdamW's decoupled weight decay of the head, which at such learning rates would shrink it away; null for
    `train.weight_decay`."""


class LinearProbe(TrainedMethod[LinearProbeParams]):
    """Trains the head, from the zero-shot head on, on the reference's features of the plain training images (as
    the code of WiSE-FT does, arXiv 2109.01903).

        loss = CE of the logits W z0 + b

    The reference's features z0 are computed once.
    """

    name = "linear_probe"
    Params = LinearProbeParams

    def __init__(self, params: LinearProbeParams, reference: Reference) -> None:
        super().__init__(params, reference)
        # The reference's own encoder, not a copy: it is frozen, and its features are known.
        self.classifier.encoder = reference.classifier.encoder

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.classifier.encoder.eval()  # shared with the trials that follow, see above
        return self

    def training_data(self, split: Split) -> Items:
        return KnownFeatures(self.reference.features(split), self.reference.dataset.images(split))

    def forward(self, batch: Batch) -> Mapping[str, Tensor]:
        return {"cross_entropy": nn.functional.cross_entropy(self.classifier.head(batch["features"]), batch["labels"])}
