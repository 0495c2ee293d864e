"""FLYP: fine-tune like you pre-train, images against the texts of their classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from fpray.data import Batch
from fpray.methods.base import TrainedParams
from fpray.methods.contrastive import ContrastiveMethod, clip_loss, encoded_once
from fpray.space import Constant


class FLYPParams(TrainedParams):
    """The form of the loss."""

    form: Annotated[Literal["contrastive", "cross_entropy"], Constant("contrastive")] = "contrastive"
    """What an image is compared with: the texts of the whole batch, each drawn from its image's class, or one text of
    each class."""


class FLYP(ContrastiveMethod[FLYPParams]):
    """Trains both towers by CLIP's own loss on prompts of the classes (arXiv 2212.00638).

    The text of an image is its class in a template that is drawn anew each time. Pairs of one class stay negatives of
    each other, as in the authors' code (github.com/locuslab/FLYP), and so do equal texts. With `cross_entropy`, their
    ablation, logits are those of one drawn text for each class.
    """

    name = "flyp"
    Params = FLYPParams

    def forward(self, batch: Batch) -> Mapping[str, Tensor]:
        features, labels = self.classifier.features(batch["images"]), batch["labels"]
        if self.params.form == "contrastive":
            texts = encoded_once(self.loaded, self.drawn_prompts(labels))
            return {"contrastive": clip_loss(features, texts, self.scale)}
        every = torch.arange(len(self.prompts), device=labels.device)
        texts = self.loaded.encode_tokens(self.drawn_prompts(every))
        return {"cross_entropy": F.cross_entropy(self.scale * features @ texts.T, labels)}
