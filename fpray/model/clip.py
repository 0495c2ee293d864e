"""open_clip's models behind types."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import open_clip
import torch
from open_clip.tokenizer import HFTokenizer
from torch import Tensor, nn

from fpray.model.augment import OPEN_CLIPS, PixelAugment, augmented
from fpray.model.names import SHIPPED
from fpray.model.transform import Transform, transform_of


@dataclass(frozen=True)
class LoadedClip:
    """A whole open_clip model, its tokenizer and its transforms. open_clip has no types: those here stand for them."""

    name: str
    clip: nn.Module
    tokenizer: Callable[[list[str]], Tensor]
    """From texts to tokens, [texts, context length]."""
    augment: Transform
    """The transform of training images."""
    preprocess: Transform
    """The transform of images for evaluation."""

    @property
    def visual(self) -> nn.Module:
        """The image tower: from images, [batch, 3, height, width], to features, [batch, embed_dim]."""
        return self.clip.get_submodule("visual")

    @cached_property
    def digest(self) -> str:
        """A text that changes with any weight of the model."""
        digest = hashlib.blake2b(self.name.encode())
        for value in self.clip.state_dict().values():
            digest.update(memory_of(value))
        return digest.hexdigest()

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width, in pixels, of the images that the image tower takes."""
        size: int | Sequence[int] = cast(Any, self.visual).image_size
        height, width = (size, size) if isinstance(size, int) else size
        return height, width

    @property
    def logit_scale(self) -> Tensor:
        """The logarithm of the factor between cosine similarities and logits."""
        return self.clip.get_parameter("logit_scale")

    def encode_text(self, texts: list[str]) -> Tensor:
        """The text tower's L2-normalised features, [texts, embed_dim], on the model's device."""
        return self.encode_tokens(self.tokenizer(texts).to(self.logit_scale.device))

    def encode_tokens(self, tokens: Tensor) -> Tensor:
        """The same of texts that are tokens already, [texts, context length], on the model's device."""
        features: Tensor = cast(Any, self.clip).encode_text(tokens, normalize=True)
        return features


def memory_of(value: Tensor) -> memoryview:
    """The bytes of a tensor's values, as they lie in memory."""
    return value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def switch_on_checkpointing(tower: nn.Module) -> bool:
    """Switch gradient checkpointing on in an image tower of open_clip's.

    Returns:
        Whether the tower has it: some take the call and do nothing.
    """
    cast(Any, tower).set_grad_checkpointing()
    return any(getattr(module, "grad_checkpointing", False) for module in tower.modules())


def load_clip(
    name: str, pretrained: str | None, device: torch.device, augment: PixelAugment = OPEN_CLIPS
) -> LoadedClip:
    """Load an open_clip model in fp32, its tokenizer and its transforms; missing weights are an error.

    Args:
        augment: what the transform of training images does.

    Raises:
        Exception: of many kinds, from open_clip; `fpray.model.opening.open_model` turns them into a `UserError`.
    """
    source, weights = _source(name), pretrained
    tag = open_clip.get_pretrained_cfg(name, pretrained) if pretrained is not None else {}
    clip, training, preprocess = open_clip.create_model_and_transforms(
        source,
        pretrained=weights,
        device=device,
        aug_cfg={"scale": augment.scale},
        require_pretrained=True,
        # Code in a file is never run: of pickles only tensors are read.
        weights_only=True,
        # Weights trained with quick-GELU (OpenAI's, MetaCLIP, DFN) need it; open_clip only warns when it is missing.
        force_quick_gelu=bool(tag.get("quick_gelu")),
    )
    tokenizer = open_clip.get_tokenizer(source)
    return LoadedClip(
        name,
        clip.eval().requires_grad_(False),
        tokenizer,
        augmented(transform_of(training), augment),
        transform_of(preprocess),
    )


def open_clip_config(loaded: LoadedClip, pretrained: str | None) -> dict[str, Any]:
    """What an `open_clip_config.json` says of a loaded model: its architecture, and what becomes of an image before."""
    architecture = open_clip.get_model_config(_source(loaded.name))
    if pretrained is not None and open_clip.get_pretrained_cfg(loaded.name, pretrained).get("quick_gelu"):
        architecture = architecture | {"quick_gelu": True}
    return {"model_cfg": architecture, "preprocess_cfg": dict(cast(Any, loaded.visual).preprocess_cfg)}


def save_tokenizer(loaded: LoadedClip, folder: Path) -> None:
    """Write a model's tokenizer, where it is one of the Hugging Face Hub's; open_clip brings its own."""
    if isinstance(loaded.tokenizer, HFTokenizer):
        loaded.tokenizer.save_pretrained(folder)


def _source(name: str) -> str:
    """The name by which open_clip finds a model."""
    return f"local-dir:{files('fpray') / 'drawnet' / 'weights' / SHIPPED[name]}" if name in SHIPPED else name
