"""The classifier: an image encoder with a linear head, which starts as CLIP's zero-shot head of class-name prompts."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fpray.model.clip import LoadedClip
from fpray.model.names import Model


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
        """Logits, [batch, classes], of preprocessed images [batch, 3, height, width]."""
        logits: Tensor = self.head(self.features(images))
        return logits


@torch.no_grad()
def zero_shot_rows(loaded: LoadedClip, classes: Sequence[str], templates: Sequence[str]) -> Tensor:
    """The weight, [classes, embed_dim], of the head whose logits are CLIP's own zero-shot logits (for SigLIP without
    its `logit_bias`, which is the same for all classes).

    Row c is the mean text embedding of class c over the templates, re-normalised, times exp(logit_scale)
    (github.com/mlfoundations/wise-ft, `src/models/zeroshot.py`).
    """
    return rows_of_prompts(loaded, prompts_of(loaded, classes, templates))


def prompts_of(loaded: LoadedClip, classes: Sequence[str], templates: Sequence[str]) -> Tensor:
    """The tokens of each class in each template, [classes, templates, context length], on the CPU."""
    prompts = [template.replace("{}", name) for name in classes for template in templates]
    return loaded.tokenizer(prompts).view(len(classes), len(templates), -1)


@torch.no_grad()
def rows_of_prompts(loaded: LoadedClip, prompts: Tensor) -> Tensor:
    """The same from `prompts_of`."""
    device = loaded.logit_scale.device
    features = torch.cat([loaded.encode_tokens(some.to(device)) for some in torch.split(prompts.flatten(0, 1), 256)])
    rows = F.normalize(features.view(*prompts.shape[:2], -1).mean(dim=1), dim=-1)
    return rows * loaded.logit_scale.exp()


def zero_shot_head(loaded: LoadedClip, classes: Sequence[str], templates: Sequence[str]) -> nn.Linear:
    """The head whose logits are CLIP's own zero-shot logits, see `zero_shot_rows`."""
    return head_of(zero_shot_rows(loaded, classes, templates))


@torch.no_grad()
def head_of(rows: Tensor) -> nn.Linear:
    """The head with this weight, [classes, embed_dim], and a bias of 0."""
    head = nn.Linear(rows.shape[1], rows.shape[0], device=rows.device)
    head.weight.copy_(rows)
    head.bias.zero_()
    return head


def weights_of(classifier: Classifier) -> dict[str, Tensor]:
    """The classifier's weights, under keys that plain open_clip knows (`visual.*`) and `head.*`."""
    encoder = {f"visual.{key}": value for key, value in classifier.encoder.state_dict().items()}
    head = {f"head.{key}": value for key, value in classifier.head.state_dict().items()}
    return {key: value.detach().cpu().contiguous() for key, value in (encoder | head).items()}


def metadata_of(model: Model, classes: Sequence[str]) -> dict[str, str]:
    """What a safetensors file with such weights says of itself, in one key: safetensors writes several in any order,
    and the same weights are to give the same file."""
    own = {
        "model": model.name,
        "pretrained": model.pretrained,
        "classes": list(classes),
        "head": "logits = weight @ f + bias, f the image tower's L2-normalised feature",
    }
    return {"fpray": json.dumps(own, ensure_ascii=False)}


@torch.no_grad()
def interpolate(start: nn.Module, end: nn.Module, alpha: float, into: nn.Module) -> None:
    """Give a module the weights (1 - alpha) * start + alpha * end, in place: the three are of one architecture and on
    one device. Whole-number entries (counters) are the nearer end's.

    Args:
        into: may be `end`.
    """
    states = [module.state_dict() for module in (start, end, into)]
    tensors = [tuple(state[key] for state in states) for key in states[2]]  # by key: the order may be another
    floating = [three for three in tensors if three[2].is_floating_point()]
    starts, ends, own = ([three[n] for three in floating] for n in range(3))
    # One call for all tensors: a small model has as many as a large one.
    between = torch._foreach_mul(starts, 1 - alpha)
    torch._foreach_add_(between, torch._foreach_mul(ends, alpha))
    torch._foreach_copy_(own, between)
    for at_start, at_end, counter in tensors:
        if not counter.is_floating_point():
            counter.copy_(at_end if alpha >= 0.5 else at_start)


def averaged(start: Classifier, weights: Mapping[str, Tensor], alpha: float) -> Classifier:
    """A new classifier with (1 - alpha) * the start's weights + alpha * those from `weights_of`, see `interpolate`."""
    classifier = with_weights(start, weights)
    interpolate(start, classifier, alpha, into=classifier)
    return classifier


@torch.no_grad()
def averaged_each(start: Classifier, weights: Mapping[str, Tensor], alphas: Mapping[str, float]) -> Classifier:
    """As `averaged`, with an alpha for each of the weights, by their keys in `weights_of`."""
    before = weights_of(start)
    between = {
        key: (1 - alphas[key]) * before[key] + alphas[key] * value
        if value.is_floating_point()
        else (value if alphas[key] >= 0.5 else before[key])
        for key, value in weights.items()
    }
    return with_weights(start, between)


def with_weights(start: Classifier, weights: Mapping[str, Tensor]) -> Classifier:
    """A new classifier of the start's architecture, in its mode, with the weights from `weights_of`."""
    classifier = copy.deepcopy(start)
    load_weights(classifier, weights)
    return classifier


def load_weights(classifier: Classifier, weights: Mapping[str, Tensor]) -> None:
    """Put weights from `weights_of` into a classifier of the same architecture."""
    classifier.load_state_dict(
        {key.replace("visual.", "encoder.", 1): value for key, value in weights.items()}, strict=True
    )
