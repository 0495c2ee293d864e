"""TPGM: a fine-tuned model's weights, each tensor within a radius of the pre-trained one that validation chooses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call

from fpray.data import Batch
from fpray.methods.base import Bench, DerivedMethod, Hyperparameters
from fpray.methods.published import PublishedAccuracy
from fpray.model import Classifier, with_weights
from fpray.space import Constant, Log

SMALLEST = 1e-8
"""The smallest radius, as in the authors' code."""


class TPGMParams(Hyperparameters):
    """How the radii are learnt."""

    radius_lr: Annotated[float, Field(gt=0), Log(1e-3, 1e-1)]
    """The learning rate of the radii; 0.01 in the paper."""
    steps: Annotated[int, Field(ge=1), Constant(200)]
    """The number of their steps."""
    batch_size: Annotated[int, Field(ge=1), Constant(128)]
    """The validation images of a step."""


class TPGM(DerivedMethod[TPGMParams]):
    """Projects each tensor of a fine-tuned model to within a radius of the pre-trained one (arXiv 2303.10720).

        w = w0 + min(1, radius / |c|) * c, c = w1 - w0

    |c| is the L2 norm of a tensor's change. The radii start at |c| / 2 and take Adam's steps on the cross-entropy over
    one half of the ID validation images; each is kept in [1e-8, |c|]. What the training has seen never chooses them.
    """

    name = "tpgm"
    builds_on = ("full",)
    learns_from_validation = True
    Params = TPGMParams
    published = (PublishedAccuracy(83.80, 65.64, 4, "TPGM, github.com/PotatoTian/TPGM, its README: MAE's recipe"),)

    def finish(self, bench: Bench) -> None:
        (tuned,) = self.sources
        self.left = with_weights(self.reference.classifier, tuned)
        start = dict(self.reference.classifier.named_parameters())
        changes = {key: weight - start[key] for key, weight in self.left.named_parameters()}
        norms = torch.stack([change.norm() for change in changes.values()])
        radii = nn.Parameter(norms / 2)
        optimizer = torch.optim.Adam([radii], lr=self.params.radius_lr)
        with torch.enable_grad():
            for batch in bench.batches(self.params.steps, self.params.batch_size):
                weights = projected(start, changes, radii, norms)
                optimizer.zero_grad()
                torch.autograd.backward(list(weights.values()), self._gradients(weights, batch, bench.room))
                optimizer.step()
                with torch.no_grad():
                    radii.copy_(within(radii, norms))
        self.radii, self.norms = radii.detach(), norms
        self.left.load_state_dict(projected(start, changes, self.radii, norms), strict=False)

    def _gradients(self, weights: Mapping[str, Tensor], batch: Batch, room: int) -> list[Tensor]:
        """Those of the batch's mean loss in the weights, which add up over parts of the batch.

        Args:
            room: the images of a part.
        """
        leaves = {key: weight.detach().requires_grad_() for key, weight in weights.items()}
        for images, labels in zip(*(torch.split(batch[key], room) for key in ("images", "labels")), strict=True):
            loss = F.cross_entropy(functional_call(self.left, leaves, (images,)), labels, reduction="sum")
            (loss / len(batch["labels"])).backward()  # type: ignore[no-untyped-call]
        return [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves.values()]

    def plain(self) -> Classifier:
        return self.left


def within(radii: Tensor, norms: Tensor) -> Tensor:
    """The radii, each at most its tensor's norm."""
    return radii.clamp(min=SMALLEST).minimum(norms.clamp(min=SMALLEST))


def projected(
    start: Mapping[str, Tensor], changes: Mapping[str, Tensor], radii: Tensor, norms: Tensor
) -> dict[str, Tensor]:
    """The weights within their radii, by name."""
    shares = (radii / norms.clamp(min=SMALLEST)).clamp(max=1)
    return {key: start[key] + share * change for share, (key, change) in zip(shares, changes.items(), strict=True)}
