"""CAR-FT: an image's distribution over the prompt templates stays near the pre-trained model's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from fpray.data import Batch
from fpray.methods.base import TrainedMethod, TrainedParams
from fpray.methods.published import PublishedAccuracy
from fpray.model import Reference
from fpray.space import Log


class CarFTParams(TrainedParams):
    """The weight of the divergence."""

    strength: Annotated[float, Field(ge=0), Log(0.1, 10.0)]
    """The weight of the divergence, beside the cross-entropy; 1 in the paper."""


class CarFT(TrainedMethod[CarFTParams]):
    """Keeps each image's distribution over the data's prompt templates (CAR-FT, arXiv 2211.16175).

        loss = CE + strength * KL(p0 || p), p = softmax(C z), p0 = softmax(C z0)

    A context is a prompt template, "a sketch of a {}.": which one fits an image is what the pre-trained model knows of
    its style, and fine-tuning forgets. A row of C is a template's mean text feature over the classes, normalised, times
    the scale of CLIP's logits, which the paper leaves open. With one template there is nothing to keep.
    """

    name = "car_ft"
    Params = CarFTParams
    needs = "the text tower, once; several prompt templates"
    published = (PublishedAccuracy(83.27, 62.98, 4, "TRACER, arXiv 2605.29380, Table 2"),)

    def __init__(self, params: CarFTParams, reference: Reference) -> None:
        super().__init__(params, reference)
        self.contexts = contexts_of(reference)  # frozen, so neither a parameter nor a buffer

    def fixed(self, batch: Batch) -> Tensor:
        """The reference's features, [batch, embed_dim]."""
        return self.reference.classifier.features(batch["images"])

    def forward(self, batch: Batch) -> Mapping[str, Tensor]:
        features = self.classifier.features(batch["images"])
        log_p, log_p0 = (F.log_softmax(z @ self.contexts.T, dim=-1) for z in (features, self.fixed_of(batch)))
        divergence = F.kl_div(log_p, log_p0, reduction="batchmean", log_target=True)
        cross_entropy = F.cross_entropy(self.classifier.head(features), batch["labels"])
        return {"cross_entropy": cross_entropy, "context": self.params.strength * divergence}


@torch.no_grad()
def contexts_of(reference: Reference) -> Tensor:
    """C, [templates, embed_dim]."""
    clip, data = reference.loaded, reference.dataset
    prompts = [[template.replace("{}", name) for name in data.classes] for template in data.templates]
    rows = torch.stack([clip.encode_text(texts).mean(dim=0) for texts in prompts])
    return clip.logit_scale.exp() * F.normalize(rows, dim=-1)
