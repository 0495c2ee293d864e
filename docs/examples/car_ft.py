"""CAR-FT (Mao et al., arXiv 2211.16175): cross-entropy + strength * KL(p0 || p), p over the contexts of an image.

A context is a prompt template, "a sketch of a {}.": which one fits an image is what the pre-trained model knows of its
style, and fine-tuning forgets. p = softmax(C z) for the image feature z; p0 is the reference's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from fpray.methods import Batch, TrainedMethod, TrainedParams
from fpray.model import Reference
from fpray.space import Log


class CarFTParams(TrainedParams):
    """The learning rate, and the weight of the divergence, which is 1 in the paper."""

    strength: Annotated[float, Field(ge=0), Log(0.1, 10.0)]
    """The weight of the divergence, beside the cross-entropy."""


class CarFT(TrainedMethod[CarFTParams]):
    """Full fine-tuning that keeps each image's distribution over the data's prompt templates."""

    name = "car_ft"
    Params = CarFTParams

    def __init__(self, params: CarFTParams, reference: Reference) -> None:
        super().__init__(params, reference)
        self.contexts = contexts_of(reference)  # frozen, so neither a parameter nor a buffer

    def forward(self, batch: Batch) -> Mapping[str, Tensor]:
        features = self.classifier.features(batch["images"])
        with torch.no_grad():
            known = self.reference.classifier.features(batch["images"])
        log_p, log_p0 = (F.log_softmax(z @ self.contexts.T, dim=-1) for z in (features, known))
        divergence = F.kl_div(log_p, log_p0, reduction="batchmean", log_target=True)
        cross_entropy = F.cross_entropy(self.classifier.head(features), batch["labels"])
        return {"cross_entropy": cross_entropy, "context": self.params.strength * divergence}


@torch.no_grad()
def contexts_of(reference: Reference) -> Tensor:
    """C, [templates, embed_dim]: of each template its mean text feature over the classes, normalised, times the scale
    of CLIP's logits."""
    clip, data = reference.loaded, reference.dataset
    prompts = [[template.replace("{}", name) for name in data.classes] for template in data.templates]
    rows = torch.stack([clip.encode_text(texts).mean(dim=0) for texts in prompts])
    return clip.logit_scale.exp() * F.normalize(rows, dim=-1)
