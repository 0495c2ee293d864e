"""What a fine-tuning method is: hyperparameters, losses, and what it leaves behind.

A new method is one module in `fpray/methods/` that defines one subclass of `Method`.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.utils.data import Dataset as TorchDataset

from fpray.data.base import Split
from fpray.model import Classifier, LoadedClip
from fpray.reference import Reference
from fpray.space import Log, Space


class Hyperparameters(BaseModel):
    """A method's hyperparameters: each field's type and bounds, and its default search dimension beside them."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Trained(Hyperparameters):
    """Hyperparameters of every method that trains."""

    # AdamW on CLIP ViT-B/16: 1e-5 is better than 3e-5 on both axes (methods' survey: TRACER vs. WiSE-FT recipe).
    lr: Annotated[float, Field(gt=0), Log(3e-6, 3e-5)]


class Method(nn.Module, ABC):
    """One way to get from the reference to a fine-tuned classifier.

    The parameters that require a gradient are what is trained; the loop knows no more of a method than this class.
    """

    name: ClassVar[str]
    Params: ClassVar[type[Hyperparameters]]
    default_trials: ClassVar[int] = 8
    builds_on: ClassVar[tuple[str, ...] | None] = None
    """The methods that a `DerivedMethod` builds on where the sweep file doesn't say; None for every other."""

    def __init__(self, params: Hyperparameters, reference: Reference) -> None:
        super().__init__()
        self.params = params
        self.reference = reference

    @classmethod
    def check(cls, loaded: LoadedClip, space: Space) -> None:
        """Find out before any trial whether the method can be applied to a model with these search dimensions.

        Raises:
            UserError: if it can't; by default it always can.
        """

    @abstractmethod
    def plain(self) -> Classifier:
        """The plain encoder and head that this method leaves behind."""


class Derived(Hyperparameters):
    """Hyperparameters of every method that builds on another trial."""

    source: str
    """The id of that trial; searched too, among the finished trials of the methods that `of` names."""


class DerivedMethod(Method):
    """A method that trains nothing, but makes its classifier of another trial's weights."""

    def take_source(self, weights: Mapping[str, Tensor]) -> None:
        """Receive the weights of the source trial (see `fpray.model.weights_of`)."""
        self.source = weights


class TrainedMethod(Method):
    """A method that trains: here a copy of the reference, encoder and head, by cross-entropy."""

    classifier: Classifier

    def __init__(self, params: Hyperparameters, reference: Reference) -> None:
        super().__init__(params, reference)
        self.classifier = copy.deepcopy(reference.classifier).requires_grad_(True)

    def training_data(self, split: Split) -> TorchDataset[tuple[Tensor, int]]:
        """Pairs (input, label) that make up an epoch: by default the split's augmented images."""
        return self.reference.augmented(split)

    def forward(self, inputs: Tensor, labels: Tensor) -> Mapping[str, Tensor]:
        """Named losses of one batch; their sum is what is minimised (plus the penalty, see `add_penalty`)."""
        return {"cross_entropy": nn.functional.cross_entropy(self.classifier(inputs), labels)}

    def add_penalty(self) -> None:
        """Add the gradient of a penalty on the weights, if there is one, to the gradients of the losses."""

    def after_step(self) -> None:
        """Act on the weights after an optimiser step, for example project them."""

    def plain(self) -> Classifier:
        return self.classifier
