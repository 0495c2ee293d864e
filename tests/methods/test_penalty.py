"""L1 and L2 towards the pre-trained weights: the gradient written by hand is autograd's, and the closed form."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fpray.methods.l1 import L1
from fpray.methods.l2 import L2
from fpray.methods.penalty import PenalisedMethod
from fpray.model.reference import Reference

STRENGTH = 0.05
CLOSED_FORM = {L1: lambda d: STRENGTH * d.sign(), L2: lambda d: 2 * STRENGTH * d}
VALUE = {L1: lambda d: STRENGTH * d.abs().sum(), L2: lambda d: STRENGTH * (d**2).sum()}


@pytest.fixture(params=[L1, L2])
def method(request: pytest.FixtureRequest, reference: Reference) -> PenalisedMethod:
    """A method away from the reference, in one bias by nothing."""
    kind = request.param
    method = kind.make({"lr": 1e-3, "strength": STRENGTH}, reference)
    with torch.no_grad():
        for index, weight in enumerate(method.classifier.parameters()):
            weight.add_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(index)))
        method.classifier.head.bias.copy_(reference.classifier.head.bias)
    return method


def differences(method: PenalisedMethod) -> list[Tensor]:
    pairs = zip(method.classifier.parameters(), method.reference.classifier.parameters(), strict=True)
    return [w - w0 for w, w0 in pairs]


def penalty(method: PenalisedMethod) -> Tensor:
    """Its value, with a graph."""
    return sum(VALUE[type(method)](d) for d in differences(method))


def test_gradient_is_autograds_and_the_closed_form(method: PenalisedMethod) -> None:
    weights = list(method.classifier.parameters())
    expected = torch.autograd.grad(penalty(method), weights)
    method.add_penalty()
    for weight, by_autograd, d in zip(weights, expected, differences(method), strict=True):
        torch.testing.assert_close(weight.grad, by_autograd, rtol=1e-6, atol=1e-8)
        torch.testing.assert_close(weight.grad, CLOSED_FORM[type(method)](d), rtol=1e-6, atol=1e-8)
    assert torch.equal(method.classifier.head.bias.grad, torch.zeros(3))


def test_gradient_adds_to_the_losses_gradient(method: PenalisedMethod, pixels: Tensor, labels: Tensor) -> None:
    weights = list(method.classifier.parameters())
    sum(method({"images": pixels, "labels": labels}).values()).backward()
    of_losses = [weight.grad.clone() for weight in weights]
    method.add_penalty()
    for weight, before, d in zip(weights, of_losses, differences(method), strict=True):
        torch.testing.assert_close(weight.grad, before + CLOSED_FORM[type(method)](d), rtol=1e-5, atol=1e-7)


def test_penalty_counts_every_weight_of_encoder_and_head(method: PenalisedMethod) -> None:
    moved = torch.cat([d.flatten() for d in differences(method)]) != 0
    method.add_penalty()
    pulled = torch.cat([weight.grad.flatten() for weight in method.classifier.parameters()]) != 0
    assert torch.equal(pulled, moved)
    assert len(pulled) == sum(value.numel() for value in method.reference.classifier.parameters())
    assert pulled.sum() == len(pulled) - 3  # the bias that lies at the reference


@pytest.mark.parametrize("kind", [L1, L2])
def test_penalty_is_nothing_at_the_reference(kind: type[PenalisedMethod], reference: Reference) -> None:
    method = kind.make({"lr": 1e-3, "strength": STRENGTH}, reference)
    method.add_penalty()
    assert all(torch.equal(w.grad, torch.zeros_like(w)) for w in method.classifier.parameters())


@pytest.mark.parametrize("kind", [L1, L2])
def test_a_strong_penalty_alone_leads_back_to_the_reference(kind: type[PenalisedMethod], reference: Reference) -> None:
    method = kind.make({"lr": 1e-3, "strength": 1.0}, reference)
    with torch.no_grad():
        for weight in method.classifier.parameters():
            weight.add_(0.05)
    optimizer = torch.optim.SGD(method.parameters(), lr=0.01)
    before = penalty(method).item()
    for _ in range(5):
        optimizer.zero_grad()
        method.add_penalty()
        optimizer.step()
    assert penalty(method).item() < 0.9 * before
