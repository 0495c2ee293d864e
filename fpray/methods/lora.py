"""LoRA: low-rank changes to the linear layers of the encoder, merged when training is done."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from fpray.errors import UserError
from fpray.methods.base import TrainedMethod, TrainedParams
from fpray.model import Classifier, LoadedClip, Reference, pack, unpack
from fpray.space import Choice, Constant, IfGiven, Log, Space

PARTS = {"attention": ("attention",), "mlp": ("mlp",), "both": ("attention", "mlp")}
"""The values of `layers`, and the parts of a transformer block that it means."""
OWNERS = {
    # A module with these linear layers is that part: as unpacked here or in open_clip, then as timm has it (in its
    # ViTs, in its attention pooling, in its EVA).
    "attention": ({"q", "k", "v", "out"}, {"qkv", "proj"}, {"q", "kv", "proj"}, {"q_proj", "k_proj", "v_proj", "proj"}),
    "mlp": ({"c_fc", "c_proj"}, {"fc1", "fc2"}, {"fc1_g", "fc1_x", "fc2"}),
}


class LoRAParams(TrainedParams):
    """The learning rate, and peft's own words."""

    # It needs a larger learning rate than full fine-tuning (arXiv 2604.16410).
    lr: Annotated[float, Field(gt=0), Log(3e-5, 3e-3)]
    """The learning rate of the low-rank matrices and the head; `train.lr` where that is given."""
    rank: Annotated[int, Field(ge=1), Choice((4, 8, 16, 32, 64))]
    """The rank of the change to each layer."""
    alpha: Annotated[float | None, Field(gt=0), IfGiven()] = None
    """The scale of the changes, which are multiplied by alpha / rank; without it, the rank. A constant makes the best
    learning rate depend on the rank."""
    dropout: Annotated[float, Field(ge=0, lt=1), Constant(0.0)]
    """The share of a layer's inputs that is dropped, in training, before its low-rank change."""
    layers: Annotated[Literal["attention", "mlp", "both"], Constant("both")]
    """The parts of each transformer block that are changed."""
    head_weight_decay: Annotated[float | None, Field(ge=0), Constant(0.0)] = None
    """The weight decay of the head, which at LoRA's learning rates would shrink it; null for `weight_decay`."""


class LoRA(TrainedMethod[LoRAParams]):
    """peft's LoRA (arXiv 2106.09685): w = w0 + (alpha / rank) * B A on the chosen layers; the head is trained whole."""

    name = "lora"
    Params = LoRAParams

    def __init__(self, params: LoRAParams, reference: Reference) -> None:
        # Imported here: peft takes seconds to import, and only LoRA's trials need it.
        from peft import LoraConfig, get_peft_model

        super().__init__(params, reference)
        self.classifier.encoder.requires_grad_(False)
        unpack(self.classifier.encoder)
        targets = [name for part in PARTS[params.layers] for name in layers_of(self.classifier.encoder, part)]
        config = LoraConfig(
            r=params.rank,
            lora_alpha=params.alpha or params.rank,  # type: ignore[arg-type]  # peft's hint says int, its code takes any number
            lora_dropout=params.dropout,
            target_modules=targets,
        )
        self.classifier.encoder = get_peft_model(self.classifier.encoder, config)

    @classmethod
    def check(cls, loaded: LoadedClip, space: Space, classes: Sequence[str]) -> None:
        encoder = copy.deepcopy(loaded.visual)
        unpack(encoder)
        run = layers_run(encoder, torch.zeros(1, 3, *loaded.image_size))
        able = [part for part in OWNERS if (names := set(layers_of(encoder, part))) and names <= run]
        for layers in space["layers"].extremes():
            for part in PARTS[str(layers)]:
                if part not in able:
                    instead = f"write {able[0]}" if able else "leave lora out"
                    raise UserError(
                        f"methods.lora.layers: the image tower of '{loaded.name}' has no {part} layers that LoRA "
                        f"can change; {instead}"
                    )

    def plain(self) -> Classifier:
        merged = copy.deepcopy(self.classifier)
        encoder: nn.Module = merged.encoder.merge_and_unload()  # type: ignore[operator]
        pack(encoder)
        merged.encoder = encoder
        return merged


def layers_of(encoder: nn.Module, part: str) -> list[str]:
    """The full names of the linear layers of every attention or mlp in an (unpacked) image tower."""
    found = []
    for owner, module in encoder.named_modules():
        linear = [name for name, child in module.named_children() if isinstance(child, nn.Linear)]
        wanted = next((names for names in OWNERS[part] if names.issubset(linear)), set())
        found += [f"{owner}.{name}" for name in linear if name in wanted]
    return found


@torch.no_grad()
def layers_run(encoder: nn.Module, images: Tensor) -> set[str]:
    """The names of the modules that are called in a forward pass.

    A layer whose weight is used without a call (in timm's EVA with separate biases) would ignore what LoRA adds.
    """
    run: set[str] = set()
    for name, module in encoder.named_modules():
        module.register_forward_pre_hook(lambda _module, _inputs, name=name: run.add(name))
    encoder(images)
    return run
