"""Block-wise WiSE-FT: between the pre-trained and a fine-tuned model, by an alpha for each third of the depth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from fpray.methods.base import DerivedMethod, Hyperparameters
from fpray.methods.depth import blocks_of, is_before_blocks, require_blocks
from fpray.model import Classifier, LoadedClip, averaged_each
from fpray.space import Space, Uniform

Alpha = Annotated[float, Field(ge=0, le=1), Uniform(0.0, 1.0)]


class BlockWiseFTParams(Hyperparameters):
    """The share of the fine-tuned weights in each third of the blocks."""

    low: Alpha
    """In the first third of the blocks, and before them."""
    middle: Alpha
    """In the second third."""
    high: Alpha
    """In the last third, and behind them, the head included."""


class BlockWiseFT(DerivedMethod[BlockWiseFTParams]):
    """Interpolates each third of the model by an alpha of its own (the heterogeneous averaging of arXiv 2309.06256,
    with three groups); trains nothing. Equal alphas are WiSE-FT.

        w = w0 + a * (w1 - w0);  a = low, middle or high, by the third of the blocks
    """

    name = "block_wise_ft"
    needs = "a tower of numbered blocks"
    builds_on = ("full",)
    Params = BlockWiseFTParams

    @classmethod
    def check(cls, loaded: LoadedClip, space: Space, classes: Sequence[str]) -> None:
        require_blocks(loaded, cls.name)

    def plain(self) -> Classifier:
        (fine_tuned,) = self.sources
        blocks, thirds = blocks_of(fine_tuned), (self.params.low, self.params.middle, self.params.high)
        number = max(blocks.values()) + 1
        third = {key: 3 * blocks[key] // number for key in blocks}
        alphas = {key: thirds[third.get(key, 0 if is_before_blocks(key) else 2)] for key in fine_tuned}
        return averaged_each(self.reference.classifier, fine_tuned, alphas)
