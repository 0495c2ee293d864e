"""LoRA: low-rank changes to the linear layers of the encoder, merged when training is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from fpray.methods.adapters import AdaptedMethod, AdaptedParams
from fpray.space import Choice, Constant, IfGiven

if TYPE_CHECKING:
    from peft import PeftConfig

STABLE_ALPHA = 8.0
"""rsLoRA's alpha where none is given: its scale is 1 at rank 64, the largest that is searched by default."""


class LoRAParams(AdaptedParams):
    """peft's own words."""

    rank: Annotated[int, Field(ge=1), Choice((4, 8, 16, 32, 64))]
    """The rank of the change to each layer."""
    alpha: Annotated[float | None, Field(gt=0), IfGiven()] = None
    """The scale of the changes, which are multiplied by alpha / rank; without it, the rank. A constant makes the best
    learning rate depend on the rank. Of `rslora` the scale is alpha / sqrt(rank), and alpha is 8 without it."""
    dropout: Annotated[float, Field(ge=0, lt=1), Constant(0.0)]
    """The share of a layer's inputs that is dropped, in training, before its low-rank change."""
    variant: Annotated[Literal["lora", "rslora", "dora", "pissa"], Constant("lora")] = "lora"
    """`lora` adds the change; `rslora` scales it by the square root of the rank; `dora` learns each column's length
    beside it; `pissa` starts at the layer's principal part instead of at zero."""


class LoRA(AdaptedMethod[LoRAParams]):
    """peft's LoRA (arXiv 2106.09685) on the chosen layers; the head is trained whole.

        loss = CE;  w = w0 + (alpha / rank) * B A, B A of the rank `rank`
        rslora:  w = w0 + (alpha / sqrt(rank)) * B A
        dora:    w = m * v / |v|, v = w0 + (alpha / rank) * B A, m the trained length of each output's weights
        pissa:   w = w0 + (alpha / rank) * (B A - B0 A0), where B A begins at B0 A0, the principal part of w0

    Variants: rsLoRA (arXiv 2312.03732), DoRA (2402.09353), PiSSA (2404.02948).
    """

    name = "lora"
    Params = LoRAParams

    def adapter(self, targets: list[str]) -> PeftConfig:
        from peft import LoraConfig

        params, stable = self.params, self.params.variant == "rslora"
        return LoraConfig(
            r=params.rank,
            lora_alpha=params.alpha or (STABLE_ALPHA if stable else params.rank),  # type: ignore[arg-type]  # any number
            lora_dropout=params.dropout,
            target_modules=targets,
            use_rslora=stable,
            use_dora=params.variant == "dora",
            init_lora_weights="pissa" if params.variant == "pissa" else True,
        )
