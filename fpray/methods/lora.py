"""LoRA: low-rank changes to the linear layers of the encoder, merged when training is done."""

from __future__ import annotations

import copy
from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from fpray.attention import pack, unpack
from fpray.methods.base import Hyperparameters, TrainedMethod
from fpray.model import Classifier
from fpray.reference import Reference
from fpray.space import Choice, Constant, Log

TARGETS = {"attention": ["q", "k", "v", "out"], "mlp": ["c_fc", "c_proj"]}


class LoRA(TrainedMethod):
    """peft's LoRA (arXiv 2106.09685): w = w0 + (alpha / rank) * B A on the chosen layers; the head is trained whole.

    It needs a larger learning rate than full fine-tuning, and has a range of its own (arXiv 2604.16410).
    """

    name = "lora"

    class Params(Hyperparameters):
        lr: Annotated[float, Field(gt=0), Log(1e-5, 1e-3)]
        rank: Annotated[int, Field(ge=1), Choice((4, 8, 16, 32, 64))]
        alpha: Annotated[float, Field(gt=0), Constant(16.0)]
        dropout: Annotated[float, Field(ge=0, lt=1), Constant(0.0)]
        layers: Annotated[Literal["attention", "mlp", "both"], Constant("both")]

    def __init__(self, params: Params, reference: Reference) -> None:
        # Imported here: peft takes seconds to import, and only LoRA's trials need it.
        from peft import LoraConfig, get_peft_model

        super().__init__(params, reference)
        targets = TARGETS["attention"] + TARGETS["mlp"] if params.layers == "both" else TARGETS[params.layers]
        self.classifier.encoder.requires_grad_(False)
        unpack(self.classifier.encoder)
        config = LoraConfig(r=params.rank, lora_alpha=params.alpha, lora_dropout=params.dropout, target_modules=targets)
        self.classifier.encoder = get_peft_model(self.classifier.encoder, config)

    def plain(self) -> Classifier:
        merged = copy.deepcopy(self.classifier)
        encoder: nn.Module = merged.encoder.merge_and_unload()  # type: ignore[operator]
        pack(encoder)
        merged.encoder = encoder
        return merged
