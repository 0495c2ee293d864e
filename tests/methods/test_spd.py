"""SPD: its formula tensor by tensor, and its ends."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fpray.methods.spd import SPD
from fpray.model import Reference


def step(reference: Reference, strength: float, grow: float) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """A step that stretches each tensor's distance by a factor.

    Returns:
        <g, w - w0>, the weights that the step makes, and what is left of them, for each tensor.
    """
    method = SPD.make({"lr": 1e-3, "strength": strength, "weight_decay": 0.0}, reference)
    generator, inner, moved = torch.Generator().manual_seed(1), [], []
    start = list(reference.classifier.parameters())
    with torch.no_grad():
        for weight, origin in zip(method.classifier.parameters(), start, strict=True):
            weight += torch.randn(weight.shape, generator=generator)
            weight.grad = torch.randn(weight.shape, generator=generator)
            inner.append((weight.grad * (weight - origin)).sum())
        method.add_penalty()
        for weight, origin in zip(method.classifier.parameters(), start, strict=True):
            weight.copy_(origin + grow * (weight - origin))
            moved.append(weight.clone())
    method.after_step(1.0)
    return inner, moved, [weight.detach() for weight in method.classifier.parameters()]


@pytest.mark.parametrize(("strength", "grow"), [(0.0, 1.5), (1.0, 1.5), (2.0, 1.25), (10.0, 4.0), (1.0, 0.5)])
def test_it_is_the_formula(reference: Reference, strength: float, grow: float) -> None:
    found = set()
    start = list(reference.classifier.parameters())
    for inner, moved, left, origin in zip(*step(reference, strength, grow), start, strict=True):
        selected = bool(inner > 0)
        found.add(selected)
        r = max(0.0, (grow - 1) / grow)  # of the growth from |d| to grow |d|
        pull = min(1.0, strength * r) if selected else 0.0
        torch.testing.assert_close(left, moved - pull * (moved - origin), rtol=1e-4, atol=1e-5)
    assert found == {True, False}


def test_a_pull_of_all_gives_the_pre_trained_weights(reference: Reference) -> None:
    start = list(reference.classifier.parameters())
    for inner, _, left, origin in zip(*step(reference, 10.0, 4.0), start, strict=True):
        if inner > 0:
            torch.testing.assert_close(left, origin.detach(), rtol=0, atol=1e-5)
