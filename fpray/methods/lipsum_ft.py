"""Lipsum-FT: an image's similarities to random texts stay near the pre-trained model's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import torch
import torch.nn.functional as F
from open_clip.tokenizer import SimpleTokenizer
from pydantic import Field
from torch import Tensor

from fpray.data import Batch
from fpray.errors import UserError
from fpray.methods.base import TrainedMethod, TrainedParams
from fpray.methods.published import PublishedAccuracy
from fpray.model import LoadedClip, Reference
from fpray.space import Constant, Log, Space


class LipsumFTParams(TrainedParams):
    """The weight of the change, and the texts that it is seen by."""

    strength: Annotated[float, Field(ge=0), Log(0.1, 10.0)]
    """The weight of the change, beside the cross-entropy; 1 in the paper."""
    texts: Annotated[int, Field(ge=1), Constant(80)]
    """The number of texts, new in each step."""
    tokens: Annotated[int, Field(ge=1, le=75), Constant(8)]
    """The number of random tokens in a text."""


class LipsumFT(TrainedMethod[LipsumFTParams]):
    """Keeps an image's similarities to texts of random tokens (Lipsum-FT, arXiv 2404.00860).

        loss = CE + strength * 1 / (2M) * sum over M texts t of (s <z - z0, t>)^2

    The texts are new in each step; t are their features by the frozen text tower.
    """

    name = "lipsum_ft"
    Params = LipsumFTParams
    needs = "the text tower, in each step; CLIP's tokenizer"
    published = (
        PublishedAccuracy(83.33, 62.70, 4, "TRACER, arXiv 2605.29380, Table 2"),
        PublishedAccuracy(83.32, 62.69, 4, "Lipsum-FT, github.com/cs-giung/lipsum-ft, its logs: one seed"),
        PublishedAccuracy(83.32, 61.03, 5, "TRACER, arXiv 2605.29380, Table 1"),
    )
    steps: Tensor

    def __init__(self, params: LipsumFTParams, reference: Reference) -> None:
        super().__init__(params, reference)
        # So that a resumed trial goes on with the texts that it would have had.
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64, device=reference.device))

    @classmethod
    def check(cls, loaded: LoadedClip, space: Space, classes: Sequence[str]) -> None:
        if not isinstance(loaded.tokenizer, SimpleTokenizer):
            raise UserError(
                f"methods.lipsum_ft: '{loaded.name}' has a tokenizer of its own, and the random texts are made of "
                "CLIP's tokens; leave the method out"
            )

    def fixed(self, batch: Batch) -> Tensor:
        """The reference's features, [batch, embed_dim]."""
        return self.reference.classifier.features(batch["images"])

    def forward(self, batch: Batch) -> Mapping[str, Tensor]:
        features = self.classifier.features(batch["images"])
        change = (features - self.fixed_of(batch)) @ self.text_features(int(self.steps)).T
        cross_entropy = F.cross_entropy(self.classifier.head(features), batch["labels"])
        return {"cross_entropy": cross_entropy, "lipsum": self.params.strength * change.square().mean() / 2}

    def after_step(self, lr_factor: float) -> None:
        self.steps += 1

    @torch.no_grad()
    def text_features(self, step: int) -> Tensor:
        """s t of a step's texts, [texts, embed_dim]: the same for all workers and all parts of a batch."""
        clip = self.reference.loaded
        features = clip.encode_tokens(random_texts(clip, self.params.texts, self.params.tokens, step))
        return clip.logit_scale.exp() * features


def random_texts(clip: LoadedClip, texts: int, tokens: int, seed: int) -> Tensor:
    """Texts of random tokens between a start and an end token, [texts, context length]."""
    tokenizer = clip.tokenizer
    if not isinstance(tokenizer, SimpleTokenizer):
        raise TypeError(f"{type(tokenizer).__name__} is not CLIP's tokenizer")
    drawn = torch.randint(tokenizer.sot_token_id, (texts, tokens), generator=torch.Generator().manual_seed(seed))
    filled = torch.zeros(texts, int(tokenizer.context_length), dtype=torch.int64)
    filled[:, 0], filled[:, 1 : tokens + 1], filled[:, tokens + 1] = (
        tokenizer.sot_token_id,
        drawn,
        tokenizer.eot_token_id,
    )
    return filled.to(clip.logit_scale.device)
