"""Linear probe: the encoder stays frozen, the head is trained on features that are computed once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import TensorDataset

from fpray.data.base import Split
from fpray.methods.base import Hyperparameters, TrainedMethod
from fpray.reference import Reference
from fpray.space import Log


class LinearProbe(TrainedMethod):
    """Trains the head, from the zero-shot head on, on the reference's features of the plain training images."""

    name = "linear_probe"

    class Params(Hyperparameters):
        # The head's rows have the length exp(logit_scale), up to 100: a step must be larger than in the encoder.
        lr: Annotated[float, Field(gt=0), Log(1e-3, 1e-1)]

    def __init__(self, params: Params, reference: Reference) -> None:
        super().__init__(params, reference)
        # The reference's own encoder, not a copy: it is frozen, and its features are known.
        self.classifier.encoder = reference.classifier.encoder

    def train(self, mode: bool = True) -> LinearProbe:
        super().train(mode)
        self.classifier.encoder.eval()  # shared with the trials that follow, see above
        return self

    def training_data(self, split: Split) -> TorchDataset[tuple[Tensor, int]]:
        images, features = self.reference.dataset.images(split), self.reference.features(split).cpu()
        labels = torch.as_tensor(images.labels)
        if images.unreadable is not None:
            features, labels = features[~images.unreadable], labels[~images.unreadable]
        return TensorDataset(features, labels)  # type: ignore[return-value]

    def forward(self, inputs: Tensor, labels: Tensor) -> Mapping[str, Tensor]:
        return {"cross_entropy": nn.functional.cross_entropy(self.classifier.head(inputs), labels)}
