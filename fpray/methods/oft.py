"""OFT: rotations of the inputs of the encoder's linear layers, merged when training is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from fpray.methods.adapters import AdaptedMethod, AdaptedParams
from fpray.space import Choice

if TYPE_CHECKING:
    from peft import PeftConfig


class OFTParams(AdaptedParams):
    """How much of a layer's inputs is rotated together."""

    block_size: Annotated[int, Field(ge=2), Choice((8, 16, 32))]
    """The number of inputs in a block of the rotation; peft takes the nearest that divides a layer's inputs."""


class OFT(AdaptedMethod[OFTParams]):
    """peft's orthogonal fine-tuning (arXiv 2306.07280), by which angles and lengths between a layer's rows stay; the
    head is trained whole.

        loss = CE;  w = w0 R, R orthogonal, with blocks on its diagonal, by Cayley's transform
    """

    name = "oft"
    Params = OFTParams

    def adapter(self, targets: list[str]) -> PeftConfig:
        from peft import OFTConfig

        # Exactly orthogonal; peft's default is a series cut off.
        return OFTConfig(r=0, oft_block_size=self.params.block_size, target_modules=targets, use_cayley_neumann=False)
