"""DiGraP holds what every method must, and takes out of a gradient what its formula says."""

from __future__ import annotations

import torch
from digrap import DiGraP
from torch import Tensor

from fpray.testing import MethodConformance, small_reference


class TestDiGraP(MethodConformance):
    method = DiGraP


def projected(omega: float) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """The gradients before and after, and w - w0, of weights away from the reference."""
    method = DiGraP.make({"lr": 1e-3, "omega": omega}, small_reference())
    generator, before, away = torch.Generator().manual_seed(0), [], []
    for weight in method.classifier.parameters():
        change, gradient = (torch.randn(weight.shape, generator=generator) for _ in range(2))
        weight.data += change
        weight.grad = gradient.clone()
        before.append(gradient)
        away.append(change)
    method.add_penalty()
    return before, [weight.grad for weight in method.classifier.parameters()], away


def test_only_what_leads_away_is_taken_out() -> None:
    found = set()
    for g, after, d in zip(*projected(1.0), strict=True):
        inner = float((g * d).sum())
        found.add(inner < 0)
        if inner < 0:
            torch.testing.assert_close(
                (after * d).sum(), torch.tensor(0.0), rtol=0, atol=1e-3 * float(d.square().sum())
            )
        else:
            assert torch.equal(after, g)
    assert found == {True, False}


def test_omega_is_the_share_and_0_is_full_fine_tuning() -> None:
    for g, half, whole in zip(*(projected(omega)[1] for omega in (0.0, 0.5, 1.0)), strict=True):
        torch.testing.assert_close(half, (g + whole) / 2, rtol=1e-4, atol=1e-5)
    before, after, _ = projected(0.0)
    assert all(map(torch.equal, before, after))


def test_at_the_start_there_is_nothing_to_take_out() -> None:
    method = DiGraP.make({"lr": 1e-3, "omega": 1.0}, small_reference())
    for weight in method.classifier.parameters():
        weight.grad = torch.ones_like(weight)
    method.add_penalty()
    assert all(bool((weight.grad == 1).all()) for weight in method.classifier.parameters())
