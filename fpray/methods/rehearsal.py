"""Rehearsal: images of anything are replayed while fine-tuning, on which the model stays near what it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from fpray.data import Batch, Items
from fpray.methods.base import TrainedMethod, TrainedParams
from fpray.methods.contrastive import clip_loss
from fpray.space import Constant, Log, Space


class RehearsalParams(TrainedParams):
    """The weight of what is replayed, and what is asked of it."""

    strength: Annotated[float, Field(ge=0), Log(0.1, 10.0)]
    """The weight of the loss on replayed images, beside the cross-entropy; for language models the paper's authors
    tried 0.25 to 4."""
    form: Annotated[Literal["unlabelled", "captions"], Constant("unlabelled")]
    """The loss on replayed images: the divergence from the pre-trained model's distributions over the data's classes,
    or CLIP's own contrastive loss with their captions."""


class Rehearsal(TrainedMethod[RehearsalParams]):
    """Replays images such as the model was pre-trained on (arXiv 2405.16027 leaves open whether that helps).

        unlabelled: loss = CE + strength * KL(p0(x) || p(x))
        captions: loss = CE + strength * CLIP(x, t)

    x are replayed images, of which each step has a batch beside the training images, and t their captions. p0 is the
    softmax of the reference's zero-shot logits of the data's classes, p that of the model's logits, by its own head.
    CLIP is its contrastive loss of the batch's pairs, over all workers (a term of ARF, arXiv 2404.06244, which tunes
    the text tower too). Text tower and scale stay as they are: the head was made of that tower, and what is left behind
    is an image tower and a head.
    """

    name = "rehearsal"
    Params = RehearsalParams
    needs = "`data.rehearsal`; for `captions` the text tower, in each step"

    @classmethod
    def replays(cls, space: Space) -> Literal["images", "pairs"]:
        return "pairs" if "captions" in space["form"] else "images"

    @classmethod
    def compares(cls, space: Space) -> bool:
        return "captions" in space["form"]

    def replayed_data(self) -> Items:
        pairs = self.params.form == "captions"
        return self.reference.replayed_pairs() if pairs else self.reference.replayed()

    def forward(self, batch: Batch) -> Mapping[str, Tensor]:
        cross_entropy = F.cross_entropy(self.classifier(batch["images"]), batch["labels"])
        replayed = self._contrastive(batch) if self.params.form == "captions" else self._divergence(batch)
        return {"cross_entropy": cross_entropy, "rehearsal": self.params.strength * replayed}

    def _divergence(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            log_p0 = F.log_softmax(self.reference.classifier(batch["replayed"]), dim=-1)
        log_p = F.log_softmax(self.classifier(batch["replayed"]), dim=-1)
        return F.kl_div(log_p, log_p0, reduction="batchmean", log_target=True)

    def _contrastive(self, batch: Batch) -> Tensor:
        loaded = self.reference.loaded
        with torch.no_grad():
            texts, scale = loaded.encode_tokens(batch["replayed_captions"]), loaded.logit_scale.exp()
        return clip_loss(self.classifier.features(batch["replayed"]), texts, scale)
