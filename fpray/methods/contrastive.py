"""Both towers trained: images against the texts of their classes, and a head that is the trained text tower's."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed.nn.functional import all_gather

from fpray.methods.base import TrainedMethod, TrainedParams
from fpray.model import Classifier, LoadedClip, Reference, head_of, prompts_of, rows_of_prompts

C = TypeVar("C", bound=TrainedParams)


class ContrastiveMethod(TrainedMethod[C]):
    """Trains image tower, text tower and the scale of CLIP's logits; the head follows from the text tower.

    After any step the classifier's head is the zero-shot head of the text tower as it is then, from all the data's
    templates. That head and the image tower are what is left behind, and what the curve by alpha and WiSE-FT average.
    """

    compares_images = True
    needs = "the text tower, trained"

    def __init__(self, params: C, reference: Reference) -> None:
        super().__init__(params, reference)
        self.classifier.head.requires_grad_(False)
        self.clip = _with_image_tower(reference.loaded, self.classifier.encoder)
        self.loaded = replace(reference.loaded, clip=self.clip)
        data = reference.dataset
        self.prompts = prompts_of(self.loaded, data.classes, data.templates).to(reference.device)
        """The tokens of each class in each template, [classes, templates, context length]."""
        _freeze_unused(self.loaded, self.prompts[0, :1])
        self._now: Sequence[Classifier] = ()  # in a sequence it is no part of this module

    def after_step(self, lr_factor: float) -> None:
        self._now = ()

    def current(self) -> Classifier:
        if not self._now:
            self.clip.eval()
            self._now = (Classifier(self.classifier.encoder, head_of(rows_of_prompts(self.loaded, self.prompts))),)
        return self._now[0]

    def plain(self) -> Classifier:
        return self.current()

    @property
    def scale(self) -> Tensor:
        """The factor between cosine similarities and logits."""
        return self.loaded.logit_scale.exp()

    def drawn_prompts(self, labels: Tensor) -> Tensor:
        """The tokens of each of these classes in a template drawn at random, [labels, context length]."""
        return self.prompts[labels, torch.randint(self.prompts.shape[1], labels.shape).to(labels.device)]


def clip_loss(images: Tensor, texts: Tensor, scale: Tensor) -> Tensor:
    """CLIP's symmetric contrastive loss (arXiv 2103.00020) over the pairs of all of a trial's workers.

    Args:
        images: this worker's unit features, [pairs, embed_dim]; all workers have as many.
        texts: those of the texts that belong to them.
        scale: the factor between cosine similarities and logits.
    """
    return matched(logits_of_pairs(images, texts, scale))


def matched(logits: Tensor) -> Tensor:
    """The mean cross-entropy of finding each image's own text, and each text's own image, from [pairs, pairs]."""
    pairs = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, pairs) + F.cross_entropy(logits.T, pairs)) / 2


def logits_of_pairs(images: Tensor, texts: Tensor, scale: Tensor) -> Tensor:
    """Of each image with each text of all workers, [pairs, pairs]."""
    return scale * gathered(images) @ gathered(texts).T


def gathered(features: Tensor) -> Tensor:
    """The rows of all of a trial's workers, through which gradients flow back to each.

    Every worker then computes the same loss of all rows; each row's gradients from all of them are summed, and
    averaged over the workers with the weights' others.
    """
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return features
    return torch.cat(all_gather(features.contiguous()))  # type: ignore[no-untyped-call]


def encoded_once(loaded: LoadedClip, prompts: Tensor) -> Tensor:
    """The text tower's features, [prompts, embed_dim], of which equal ones are computed once."""
    different, place = prompts.unique(dim=0, return_inverse=True)  # type: ignore[no-untyped-call]
    return loaded.encode_tokens(different)[place]


def _with_image_tower(loaded: LoadedClip, tower: nn.Module) -> nn.Module:
    """A copy of the whole model, to be trained, with this image tower."""
    return copy.deepcopy(loaded.clip, {id(loaded.visual): tower}).requires_grad_(True)


def _freeze_unused(loaded: LoadedClip, prompt: Tensor) -> None:
    """Freeze what neither tower uses (SigLIP's bias of the logits, CoCa's decoder): it would get no gradient."""
    with torch.enable_grad():
        (loaded.encode_tokens(prompt).sum() * loaded.logit_scale).backward()  # type: ignore[no-untyped-call]
    image_tower = {id(weight) for weight in loaded.visual.parameters()}
    for weight in loaded.clip.parameters():
        weight.requires_grad_(weight.grad is not None or id(weight) in image_tower)
        weight.grad = None
