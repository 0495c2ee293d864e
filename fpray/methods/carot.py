"""CaRot: FLYP with a teacher, an orthogonal projection of the images, and towers whose projections overlap little."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from fpray.data import Batch
from fpray.errors import UserError
from fpray.methods.averaging import with_buffers
from fpray.methods.base import Course, TrainedParams
from fpray.methods.contrastive import ContrastiveMethod, encoded_once, logits_of_pairs, matched
from fpray.methods.published import PublishedAccuracy
from fpray.model import Classifier, LoadedClip, Reference, interpolate
from fpray.space import Constant, Log, Space

FIRST, LAST, RISE = 0.05, 0.9, 0.2
"""The teacher's momentum: the first, the last, and the share of the training in which it rises (the authors' code)."""
OF_IMAGES = ("proj", "attnpool.c_proj.weight", "head.proj.weight")
"""Where image towers have their last projection: ViTs, ResNets, timm's."""
OF_TEXTS = ("text_projection", "text.text_projection", "text_projection.weight", "text.text_projection.weight")


class CaRotParams(TrainedParams):
    """The weights of the terms beside the contrastive loss, and how often the teacher follows."""

    strength: Annotated[float, Field(ge=0), Log(0.15, 15.0)]
    """The weight of the distance to the teacher; 1.5 in the paper."""
    orthogonality: Annotated[float, Field(ge=0), Constant(0.2)]
    """The weight of |V'V - I|, V the image tower's last projection."""
    overlap: Annotated[float, Field(ge=0), Constant(0.05)]
    """The weight of |V T'|, T the text tower's last projection; in the authors' script, not in their text."""
    interval: Annotated[float, Field(gt=0, le=1), Constant(0.02)]
    """The share of the training between two of the teacher's steps; 500 of 25,000 steps in the paper."""


class CaRot(ContrastiveMethod[CaRotParams]):
    """FLYP + an orthogonal projection + self-distillation (arXiv 2311.01723; github.com/MLAI-Yonsei/CaRot).

        loss = contrastive + orthogonality * |V'V - I| + overlap * |V T'| + strength * (KL over images + KL over texts)
        teacher <- m * teacher + (1 - m) * student, at each of its steps; m rises from 0.05 to 0.9 in a fifth of all

    V and T are the towers' last projections, norms are those of Frobenius; each divergence is from the teacher's
    distribution over the batch's pairs to the student's. The teacher starts as the pre-trained model.
    """

    name = "carot"
    Params = CaRotParams
    published = (
        PublishedAccuracy(83.16, 64.03, 4, "TRACER, arXiv 2605.29380, Table 2"),
        PublishedAccuracy(83.15, 62.54, 5, "TRACER, arXiv 2605.29380, Table 1"),
    )
    steps: Tensor

    def __init__(self, params: CaRotParams, reference: Reference) -> None:
        super().__init__(params, reference)
        self.teacher = with_buffers(copy.deepcopy(reference.loaded.clip))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64, device=reference.device))
        self._total = 0

    @classmethod
    def check(cls, loaded: LoadedClip, space: Space, classes: Sequence[str]) -> None:
        if _found(loaded.visual, OF_IMAGES) is None or _found(loaded.clip, OF_TEXTS) is None:
            raise UserError(
                f"methods.carot: the towers of '{loaded.name}' don't both end with a projection; leave the method out"
            )

    def train(self, mode: bool = True) -> CaRot:
        super().train(mode)
        self.teacher.eval()
        return self

    def begin(self, course: Course) -> None:
        self._total = len(course.lr_factors)

    def forward(self, batch: Batch) -> Mapping[str, Tensor]:
        params, prompts = self.params, self.drawn_prompts(batch["labels"])
        features, texts = self.classifier.features(batch["images"]), encoded_once(self.loaded, prompts)
        logits = logits_of_pairs(features, texts, self.scale)
        of_images, of_texts = self.projections()
        own = torch.eye(of_images.shape[1], device=of_images.device)
        return {
            "contrastive": matched(logits),
            "orthogonality": params.orthogonality * torch.linalg.norm(of_images.T @ of_images - own),
            "overlap": params.overlap * torch.linalg.norm(of_images @ of_texts.T),
            "distillation": params.strength * distance(logits, self.teachers_logits(batch["images"], prompts)),
        }

    def projections(self) -> tuple[Tensor, Tensor]:
        """V, [width of the image tower, embed_dim], and T, [width of the text tower, embed_dim]."""
        of_images, of_texts = _found(self.loaded.visual, OF_IMAGES), _found(self.clip, OF_TEXTS)
        assert of_images is not None and of_texts is not None, "see check"
        return of_images, of_texts

    @torch.no_grad()
    def teachers_logits(self, images: Tensor, prompts: Tensor) -> Tensor:
        """Those of all workers' pairs, [pairs, pairs]."""
        loaded = replace(self.loaded, clip=self.teacher)
        features = Classifier(loaded.visual, self.reference.classifier.head).features(images)
        return logits_of_pairs(features, encoded_once(loaded, prompts), self.teacher.get_buffer("logit_scale").exp())

    def after_step(self, lr_factor: float) -> None:
        super().after_step(lr_factor)
        step = int(self.steps)
        if step % max(1, round(self.params.interval * self._total)) == 0:
            momentum = FIRST + (LAST - FIRST) * min(1.0, step / (RISE * self._total))
            interpolate(self.teacher, self.clip, 1 - momentum, into=self.teacher)
        self.steps += 1


def distance(logits: Tensor, teachers: Tensor) -> Tensor:
    """KL(teacher || student) of the distributions over images, and of those over texts, summed; the mean over pairs.
    Both logits are [pairs, pairs]. Its gradient is that of the authors' cross-entropy, and it is 0 where both agree."""
    return sum(
        (
            F.kl_div(own.log_softmax(-1), known.log_softmax(-1), reduction="batchmean", log_target=True)
            for own, known in ((logits, teachers), (logits.T, teachers.T))
        ),
        start=logits.new_zeros(()),
    )


def _found(tower: nn.Module, places: Sequence[str]) -> Tensor | None:
    """A tower's last projection, [width, embed_dim]."""
    weights = dict(tower.named_parameters())
    for place in places:
        if place in weights:
            return weights[place].T if place.endswith("weight") else weights[place]  # a linear layer's is transposed
    return None
