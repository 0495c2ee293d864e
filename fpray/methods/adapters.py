"""Adapters of peft's on the linear layers of an image tower, merged into it when training is done."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import torch
from pydantic import Field
from torch import Tensor, nn

from fpray.errors import UserError
from fpray.methods.base import TrainedMethod, TrainedParams
from fpray.model import Classifier, LoadedClip, Reference, pack, unpack
from fpray.space import Constant, Log, Space

if TYPE_CHECKING:
    from peft import PeftConfig

PARTS = {"attention": ("attention",), "mlp": ("mlp",), "both": ("attention", "mlp")}
"""The values of `layers`, and the parts of a transformer block that it means."""
OWNERS = {
    # A module with these linear layers is that part: as unpacked here or in open_clip, then as timm has it (in its
    # ViTs, in its attention pooling, in its EVA).
    "attention": ({"q", "k", "v", "out"}, {"qkv", "proj"}, {"q", "kv", "proj"}, {"q_proj", "k_proj", "v_proj", "proj"}),
    "mlp": ({"c_fc", "c_proj"}, {"fc1", "fc2"}, {"fc1_g", "fc1_x", "fc2"}),
}


class AdaptedParams(TrainedParams):
    """The learning rate, and which layers have an adapter."""

    # They need a larger learning rate than full fine-tuning (arXiv 2604.16410).
    lr: Annotated[float, Field(gt=0), Log(3e-5, 3e-3)]
    """The learning rate of the adapters and the head; `train.lr` where that is given."""
    layers: Annotated[Literal["attention", "mlp", "both"], Constant("both")]
    """The parts of each transformer block that have an adapter."""
    head_weight_decay: Annotated[float | None, Field(ge=0), Constant(0.0)] = None
    """The weight decay of the head, which at these learning rates would shrink it; null for `weight_decay`."""


A = TypeVar("A", bound=AdaptedParams)


class AdaptedMethod(TrainedMethod[A]):
    """Trains adapters on the chosen layers, and the head whole; all other weights are frozen."""

    needs = "a transformer"

    def __init__(self, params: A, reference: Reference) -> None:
        # Imported here: peft takes seconds to import, and only these trials need it.
        from peft import get_peft_model

        super().__init__(params, reference)
        self.classifier.encoder.requires_grad_(False)
        unpack(self.classifier.encoder)
        targets = [name for part in PARTS[params.layers] for name in layers_of(self.classifier.encoder, part)]
        self.classifier.encoder = get_peft_model(self.classifier.encoder, self.adapter(targets))

    @abstractmethod
    def adapter(self, targets: list[str]) -> PeftConfig:
        """The adapter's configuration.

        Args:
            targets: the full names of the layers that have one.
        """

    @classmethod
    def check(cls, loaded: LoadedClip, space: Space, classes: Sequence[str]) -> None:
        encoder = copy.deepcopy(loaded.visual)
        unpack(encoder)
        run = layers_run(encoder, torch.zeros(1, 3, *loaded.image_size))
        able = [part for part in OWNERS if (names := set(layers_of(encoder, part))) and names <= run]
        for layers in space["layers"].extremes():
            for part in PARTS[str(layers)]:
                if part not in able:
                    instead = f"write {able[0]}" if able else f"leave {cls.name} out"
                    raise UserError(
                        f"methods.{cls.name}.layers: the image tower of '{loaded.name}' has no {part} layers that an "
                        f"adapter can change; {instead}"
                    )

    @torch.no_grad()  # peft merges OFT in place: with a gradient, autograd would hold the merged weights for ever
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

    A layer whose weight is used without a call (in timm's EVA with separate biases) would ignore what an adapter adds.
    """
    run: set[str] = set()
    for name, module in encoder.named_modules():
        module.register_forward_pre_hook(lambda _module, _inputs, name=name: run.add(name))
    encoder(images)
    return run
