"""Linear probe: the encoder stays frozen, the head is trained on features that are computed once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn
from torch.utils.data import Dataset as TorchDataset

from fpray.data.base import LabelledImages, Split
from fpray.data.encoded import UnreadableImageError
from fpray.methods.base import Hyperparameters, TrainedMethod
from fpray.reference import Reference
from fpray.space import Log


class KnownFeatures(TorchDataset[tuple[Tensor, int]]):
    """The features of a split's images, [images, embed_dim], with their labels; an unreadable one raises."""

    def __init__(self, features: Tensor, images: LabelledImages) -> None:
        self.features, self.images = features, images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if self.images.unreadable is not None and self.images.unreadable[index]:
            raise UnreadableImageError(self.images.name_of(index))
        return self.features[index], int(self.images.labels[index])


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
        return KnownFeatures(self.reference.features(split), self.reference.dataset.images(split))

    def forward(self, inputs: Tensor, labels: Tensor) -> Mapping[str, Tensor]:
        return {"cross_entropy": nn.functional.cross_entropy(self.classifier.head(inputs), labels)}
