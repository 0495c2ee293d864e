"""LiNeS: weights between the pre-trained and a fine-tuned model, the deeper the nearer to the fine-tuned one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from fpray.methods.base import DerivedMethod, Hyperparameters
from fpray.methods.depth import blocks_of, require_blocks
from fpray.model import Classifier, LoadedClip, averaged_each
from fpray.space import Constant, Space, Uniform


class LinesParams(Hyperparameters):
    """The share of the fine-tuned weights in the first block, and what becomes of the head."""

    alpha: Annotated[float, Field(ge=0, le=1), Uniform(0.0, 1.0)]
    """The share of the fine-tuned weights in the first block and outside blocks; in the last block it is 1."""
    head: Annotated[Literal["whole", "alpha"], Constant("whole")]
    """The share of the fine-tuned head: all of it, since it lies deeper than the last block, or `alpha`."""


class Lines(DerivedMethod[LinesParams]):
    """Scales the change of each block by its depth, and every other one by alpha (LiNeS, arXiv 2410.17146; its code);
    trains nothing. alpha 1 is the fine-tuned model.

        w = w0 + a * (w1 - w0);  a = alpha + (1 - alpha) * l / (L - 1) in block l of L, from 0 on, else alpha
        head:  a = 1, or alpha
    """

    name = "lines"
    needs = "a tower of numbered blocks"
    builds_on = ("full",)
    Params = LinesParams

    @classmethod
    def check(cls, loaded: LoadedClip, space: Space, classes: Sequence[str]) -> None:
        require_blocks(loaded, cls.name)

    def plain(self) -> Classifier:
        (fine_tuned,) = self.sources
        alpha, blocks = self.params.alpha, blocks_of(fine_tuned)
        last = max(blocks.values())
        alphas = {key: alpha + (1 - alpha) * blocks[key] / last if key in blocks else alpha for key in fine_tuned}
        if self.params.head == "whole":
            alphas |= {key: 1.0 for key in fine_tuned if key.startswith("head.")}
        return averaged_each(self.reference.classifier, fine_tuned, alphas)
