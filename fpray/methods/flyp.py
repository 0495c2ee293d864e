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
from fpray.methods.published import PublishedAccuracy
from fpray.space import Constant


class FLYPParams(TrainedParams):
    """The form of the loss."""

    form: Annotated[Literal["contrastive", "cross_entropy"], Constant("contrastive")] = "contrastive"
    """What an image is compared with: the texts of the whole batch, each drawn from its image's class, or one text of
    each class."""


class FLYP(ContrastiveMethod[FLYPParams]):
    """Trains both towers by CLIP's own loss on prompts of the classes (arXiv 2212.00638).

        contrastive:    loss = (CE of finding each image's text in s Z T' + CE of each text's image) / 2
        cross_entropy:  loss = CE of the logits s z T', T a drawn text of each class

    Z and T are the normalised features of the batch's images and of their texts, of all workers, s is trained, too. The
    text of an image is its class in a template that is drawn anew each time. Pairs of one class stay negatives of
    each other, as in the authors' code (github.com/locuslab/FLYP), and so do equal texts. With `cross_entropy`, their
    ablation, logits are those of one drawn text for each class.
    """

    name = "flyp"
    Params = FLYPParams
    published = (
        PublishedAccuracy(82.72, 60.61, 4, "TRACER, arXiv 2605.29380, Table 2"),
        PublishedAccuracy(82.72, 59.45, 5, "TRACER, arXiv 2605.29380, Table 1"),
        PublishedAccuracy(82.6, 59.7, 5, "ReCalCon, arXiv 2609.06967, its README"),
    )

    def forward(self, batch: Batch) -> Mapping[str, Tensor]:
        features, labels = self.classifier.features(batch["images"]), batch["labels"]
        if self.params.form == "contrastive":
            texts = encoded_once(self.loaded, self.drawn_prompts(labels))
            return {"contrastive": clip_loss(features, texts, self.scale)}
        every = torch.arange(len(self.prompts), device=labels.device)
        texts = self.loaded.encode_tokens(self.drawn_prompts(every))
        return {"cross_entropy": F.cross_entropy(self.scale * features @ texts.T, labels)}
