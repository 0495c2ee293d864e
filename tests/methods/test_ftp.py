"""FTP, against a plain loop over rows, with torch's own Adam for the radii; and what its radii mean."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from fpray.methods.ftp import FTP
from fpray.model import Reference


def rows(value: Tensor) -> Tensor:
    return value.reshape(len(value), -1) if value.ndim > 1 else value.reshape(1, -1)


def steps_of(method: FTP, start: list[Tensor], kappa: float, moves: list[list[Tensor]]) -> list[Tensor]:
    """The encoder's weights after some steps whose gradients are given and whose optimiser adds -0.01 of them, by a
    loop that knows nothing of the method's code."""
    weights = [value.clone() for value in start]
    radii = [torch.nn.Parameter(torch.tensor(1e-8)) for _ in weights]
    adam = torch.optim.Adam(radii, lr=1e-2)
    before: list[Tensor] = []
    for gradients in moves:
        if before:
            for radius, gradient, change in zip(radii, gradients, before, strict=True):
                slope = 0.0
                for g, c in zip(rows(gradient), rows(change), strict=True):
                    slope += float((g * c).sum() / c.abs().sum()) if c.abs().sum() > 0 else 0.0
                radius.grad = torch.tensor(slope * (kappa if slope > 0 else 1.0))
            adam.step()
        moved = [weight - 0.01 * gradient for weight, gradient in zip(weights, gradients, strict=True)]
        before = [now - origin for now, origin in zip(moved, start, strict=True)]
        weights = []
        for radius, change, origin in zip(radii, before, start, strict=True):
            largest = max(float(row.abs().sum()) for row in rows(change))
            radius.data.clamp_(1e-8, max(1e-8, largest))
            kept = [row * min(1.0, float(radius.detach()) / max(float(row.abs().sum()), 1e-30)) for row in rows(change)]
            weights.append(origin + torch.stack(kept).reshape(origin.shape))
    return weights


@pytest.mark.parametrize("kappa", [1.0, 0.3])
def test_its_steps_are_the_papers(reference: Reference, kappa: float) -> None:
    method = FTP.make({"lr": 1e-3, "kappa": kappa}, reference)
    start = [value.clone() for value in reference.classifier.encoder.parameters()]
    generator = torch.Generator().manual_seed(0)
    moves = [[torch.randn(value.shape, generator=generator) for value in start] for _ in range(5)]
    for gradients in moves:
        for weight, gradient in zip(method.classifier.encoder.parameters(), gradients, strict=True):
            weight.grad = gradient.clone()
        method.add_penalty()
        with torch.no_grad():
            for weight in method.classifier.encoder.parameters():
                weight -= 0.01 * weight.grad
        method.after_step(1.0)
    for ours, theirs in zip(method.classifier.encoder.parameters(), steps_of(method, start, kappa, moves), strict=True):
        torch.testing.assert_close(ours.detach(), theirs, rtol=1e-4, atol=1e-6)


def test_no_row_is_farther_than_the_radius_and_the_head_is_free(reference: Reference) -> None:
    method = FTP.make({"lr": 1e-3, "kappa": 1.0}, reference)
    with torch.no_grad():
        for weight in method.classifier.parameters():
            weight += 1.0
    head = copy.deepcopy(method.classifier.head.weight.detach())
    method.radii.fill_(0.5)
    method.after_step(1.0)
    origin = reference.classifier.encoder.parameters()
    for weight, start in zip(method.classifier.encoder.parameters(), origin, strict=True):
        assert float(rows(weight - start).abs().sum(dim=1).max()) == pytest.approx(0.5, rel=1e-3)
    assert torch.equal(method.classifier.head.weight, head)
