"""The movement of a fine-tuned model away from the reference, in its weights and in its features."""

from __future__ import annotations

import torch
from torch import Tensor

from fpray.model import Classifier


@torch.no_grad()
def weight_distance(classifier: Classifier, reference: Classifier) -> tuple[float, float]:
    """The L2 norm of w - w0 over encoder and head, and the same over the norm of w0."""
    pairs = zip(classifier.parameters(), reference.parameters(), strict=True)
    squares = torch.stack([torch.stack([(w - w0).square().sum(), w0.square().sum()]) for w, w0 in pairs]).sum(dim=0)
    distance, norm = squares.sqrt().tolist()
    return distance, distance / norm


def linear_cka(x: Tensor, y: Tensor) -> float:
    """Linear centred kernel alignment of two feature matrices, [images, dim]: 1 is the same up to rotation and scale.

    ||Y'X||^2 / (||X'X|| ||Y'Y||) in Frobenius norms of the centred features (Kornblith et al., arXiv 1905.00414).
    """
    x, y = (f.double() - f.double().mean(dim=0) for f in (x, y))
    return float((y.T @ x).norm() ** 2 / ((x.T @ x).norm() * (y.T @ y).norm()))
