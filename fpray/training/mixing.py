"""What of augmentation acts on a batch, images and labels together: mixup and label smoothing."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Beta

from fpray.config import Augment
from fpray.data import REPLAYED, Batch


def mixed(batch: Batch, augment: Augment, classes: int) -> Batch:
    """A worker's share of a batch, on its device, as the losses take it.

    With mixup or label smoothing its `labels`, [batch], become the probabilities of the classes, [batch, classes],
    which cross-entropy takes as well. Without both the batch stays as it is, and no random number is drawn.

    Mixup (arXiv 1710.09412; one share for all images, as in the authors' code): x <- share * x + (1 - share) * x', x'
    the images in another order, share from Beta(alpha, alpha). So it is for every value in floating point, the labels'
    probabilities among them, but for what is replayed beside the images. Share and order are torch's random numbers on
    the CPU, which the loop seeds by trial, epoch and worker.
    """
    if not augment.mixup and not augment.label_smoothing:
        return batch
    soft = {**batch, "labels": probabilities(batch["labels"], augment.label_smoothing, classes)}
    if not augment.mixup:
        return soft
    share = float(Beta(augment.mixup, augment.mixup).sample())
    order = torch.randperm(len(batch["labels"])).to(batch["labels"].device)

    def with_others(value: Tensor) -> Tensor:
        return value[order].lerp(value, share) if value.is_floating_point() else value

    return {name: value if name.startswith(REPLAYED) else with_others(value) for name, value in soft.items()}


def probabilities(labels: Tensor, smoothing: float, classes: int) -> Tensor:
    """The probabilities of the classes, [batch, classes], of integer labels, [batch]: 1 - smoothing for the label's
    own, and smoothing / classes more for each (arXiv 1512.00567), as torch's `label_smoothing` has it."""
    return (1 - smoothing) * F.one_hot(labels, classes).float() + smoothing / classes
