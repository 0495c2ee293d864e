"""The model: an open_clip image encoder with a linear head made from class-name prompts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import open_clip
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.transforms import Compose

from fpray.errors import UserError, did_you_mean

EMBEDDED = "embedded"
"""The model name of the small CLIP that fpray ships, pre-trained on DrawNet (`python -m fpray.pretrain`)."""

HUB, LOCAL = "hf-hub:", "local-dir:"
"""What the names of models that open_clip doesn't know itself begin with: a repository's and a folder's."""


@dataclass(frozen=True)
class LoadedClip:
    """A whole open_clip model with what goes with it."""

    name: str
    clip: nn.Module
    tokenizer: Any
    augment: Compose
    preprocess: Compose

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width, in pixels, of the images that the image tower takes."""
        size = self.clip.visual.image_size
        return (size, size) if isinstance(size, int) else tuple(size)


class Classifier(nn.Module):
    """An image encoder and a linear head on its L2-normalised features."""

    def __init__(self, encoder: nn.Module, head: nn.Linear) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def features(self, images: Tensor) -> Tensor:
        """L2-normalised features, [batch, embed_dim], of preprocessed images [batch, 3, height, width]."""
        encoded = self.encoder(images)
        if isinstance(encoded, tuple):  # CoCa's image tower gives its tokens too
            encoded = encoded[0]
        return F.normalize(encoded, dim=-1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits, [batch, classes]."""
        return self.head(self.features(images))


def check_model(name: str, pretrained: str | None) -> None:
    """Find out, without loading it, whether a model can be what the sweep file says (see `fpray.preflight` for more).

    Raises:
        UserError: for an unknown architecture or pretrained tag, or a folder that is not there or has no good config.
    """
    if name == EMBEDDED or name.startswith((HUB, LOCAL)):
        if pretrained is not None:
            raise UserError(f"model.pretrained: '{name}' has weights of its own; leave '{pretrained}' out")
        if name.startswith(LOCAL):
            _check_folder(Path(name.removeprefix(LOCAL)))
        return
    if name not in open_clip.list_models():
        raise UserError(f"model.name: unknown model '{name}'; {_name_hint(name)}")
    tags = open_clip.list_pretrained_tags_by_model(name)
    example = f"for example '{tags[0]}'" if tags else "a checkpoint file, for no published ones are known"
    if pretrained is None:
        raise UserError(f"model.pretrained: say which weights of '{name}' to start from, {example}")
    if pretrained not in tags and not Path(pretrained).is_file():
        if "/" in pretrained or "." in pretrained:  # in no tag
            raise UserError(f"model.pretrained: no such file: '{pretrained}'; name one that is there, or a tag")
        hint = did_you_mean(pretrained, tags) if tags else "open_clip knows no tag of it"
        raise UserError(f"model.pretrained: '{pretrained}' is neither a file nor a tag of '{name}'; {hint}")


def _name_hint(name: str) -> str:
    """What somebody may have meant who wrote a name that is no model's."""
    known = [EMBEDDED, *open_clip.list_models()]
    if ":" in name:
        return f"a name with a colon begins with '{HUB}' or '{LOCAL}'"
    if name.startswith(("/", ".", "~")) or Path(name).is_dir():
        return f"for a model in a folder write '{LOCAL}{name}'"
    if "/" in name and name.replace("/", "-") not in known:  # OpenAI's own names are ViT-B/32 and the like
        return f"for a repository of the Hugging Face Hub write '{HUB}{name}'"
    return did_you_mean(name, known)


def _check_folder(folder: Path) -> None:
    path = folder / "open_clip_config.json"
    if not path.is_file():
        raise UserError(f"model.name: no open_clip_config.json in '{folder}'; 'local-dir:' needs that folder")
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
    except PermissionError:
        raise UserError(f"model.name: you may not read '{path}'; change its permissions") from None
    except ValueError as error:
        raise UserError(f"model.name: '{path}' is not JSON ({error}); write it as open_clip does") from None
    model = written.get("model_cfg") if isinstance(written, dict) else None
    parts = model if isinstance(model, dict) else {}
    for key in ("embed_dim", "vision_cfg", "text_cfg"):
        if key not in parts:
            raise UserError(f"model.name: '{path}' has no model_cfg.{key}; write it as open_clip does")


def load_clip(name: str, pretrained: str | None, device: torch.device) -> LoadedClip:
    """Load an open_clip model in fp32, its tokenizer and its transforms; missing weights are an error.

    Raises:
        Exception: open_clip's own, of many kinds; `fpray.preflight.open_model` says them in a sentence.
    """
    source, weights = name, pretrained
    if name == EMBEDDED:
        source, weights = f"local-dir:{files('fpray') / 'models' / 'drawnet'}", None
    tag = open_clip.get_pretrained_cfg(name, pretrained) if pretrained is not None else {}
    clip, augment, preprocess = open_clip.create_model_and_transforms(
        source,
        pretrained=weights,
        device=device,
        require_pretrained=True,
        # A file is never run: pickles are read as tensors only.
        weights_only=True,
        # Weights trained with quick-GELU (OpenAI's, MetaCLIP, DFN) need it; open_clip only warns when it is missing.
        force_quick_gelu=bool(tag.get("quick_gelu")),
    )
    return LoadedClip(name, clip.eval().requires_grad_(False), open_clip.get_tokenizer(source), augment, preprocess)


@torch.no_grad()
def zero_shot_head(loaded: LoadedClip, classes: Sequence[str], templates: Sequence[str]) -> nn.Linear:
    """The head whose logits are CLIP's own zero-shot logits (SigLIP's but for its `logit_bias`, one for all classes).

    Row c is the mean text embedding of class c over the templates, re-normalised, times exp(logit_scale);
    the bias is 0 (github.com/mlfoundations/wise-ft, `src/models/zeroshot.py`).
    """
    device = loaded.clip.logit_scale.device
    prompts = [template.replace("{}", name) for name in classes for template in templates]
    chunks = [
        loaded.clip.encode_text(loaded.tokenizer(prompts[i : i + 256]).to(device), normalize=True)
        for i in range(0, len(prompts), 256)
    ]
    rows = F.normalize(torch.cat(chunks).view(len(classes), len(templates), -1).mean(dim=1), dim=-1)
    head = nn.Linear(rows.shape[1], rows.shape[0], device=device)
    head.weight.copy_(rows * loaded.clip.logit_scale.exp())
    head.bias.zero_()
    return head


def weights_of(classifier: Classifier) -> dict[str, Tensor]:
    """The classifier's weights, under keys that plain open_clip knows (`visual.*`) and `head.*`."""
    encoder = {f"visual.{key}": value for key, value in classifier.encoder.state_dict().items()}
    head = {f"head.{key}": value for key, value in classifier.head.state_dict().items()}
    return {key: value.detach().cpu().contiguous() for key, value in (encoder | head).items()}


def load_weights(classifier: Classifier, weights: Mapping[str, Tensor]) -> None:
    """Put weights from `weights_of` into a classifier of the same architecture."""
    classifier.load_state_dict(
        {key.replace("visual.", "encoder.", 1): value for key, value in weights.items()}, strict=True
    )
