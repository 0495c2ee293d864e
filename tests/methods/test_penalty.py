"""L1 and L2 towards the pre-trained weights: the gradient written by hand is autograd's, and the closed form; kappa and
strength say the same; after a step the other forms do what their closed forms say."""

from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from fpray.methods.base import Course
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


FACTORS = [0.5, 1.0, 0.75, 0.25]
COURSE = Course(FACTORS, clip_grad_norm=2.0)


def begun(kind: type[PenalisedMethod], reference: Reference, **params: float | str) -> PenalisedMethod:
    method = kind.make({"lr": 0.02} | params, reference)
    method.begin(COURSE)
    return method


@pytest.mark.parametrize(
    ("kind", "form", "kappa_of_1"),
    [
        # With N weights and gradients clipped to 2, one weight's gradient has the size 2 / sqrt(N).
        (L1, "coupled", lambda n: 2 * math.sqrt(n) / 2 * math.sqrt(0.25 + 1 + 0.5625 + 0.0625)),
        (L1, "proximal", lambda n: 2 * math.sqrt(0.25 + 1 + 0.5625 + 0.0625)),
        (L2, "coupled", lambda n: 2 * math.sqrt(n) / 2 * 0.02 * 2.5),
        (L2, "decoupled", lambda n: 0.02 * 2.5),
    ],
)
def test_kappa_is_the_strength_without_a_dimension(
    kind: type[PenalisedMethod], form: str, kappa_of_1: object, reference: Reference
) -> None:
    weights = sum(w.numel() for w in reference.classifier.parameters())
    by_kappa = begun(kind, reference, kappa=3.0, form=form)
    assert by_kappa.strength == pytest.approx(3.0 / kappa_of_1(weights))
    assert by_kappa.implied() == {"strength": by_kappa.strength}
    by_strength = begun(kind, reference, strength=by_kappa.strength, form=form)
    assert by_strength.implied() == {"kappa": pytest.approx(3.0)}


@pytest.mark.parametrize("kind", [L1, L2])
def test_one_of_kappa_and_strength_is_given(kind: type[PenalisedMethod], reference: Reference) -> None:
    for params in ({}, {"kappa": 1.0, "strength": 1.0}):
        with pytest.raises(ValidationError, match="kappa or strength"):
            kind.make({"lr": 1e-3} | params, reference)


def test_the_decoupled_pull_takes_a_share_of_the_way_and_leaves_the_gradient_alone(reference: Reference) -> None:
    method = begun(L2, reference, strength=10.0, form="decoupled")
    with torch.no_grad():
        for weight in method.classifier.parameters():
            weight.add_(0.1)
    before = differences(method)
    method.add_penalty()
    assert all(weight.grad is None for weight in method.classifier.parameters())
    method.after_step(lr_factor=0.5)
    for d, was in zip(differences(method), before, strict=True):
        torch.testing.assert_close(d, (1 - 0.02 * 0.5 * 10) * was, rtol=1e-4, atol=1e-6)
    begun(L2, reference, strength=1e6, form="decoupled").after_step(1.0)  # at most the whole way: it doesn't overshoot
    method.strength = 1e6
    method.after_step(1.0)
    assert all(torch.allclose(d, torch.zeros_like(d), atol=1e-6) for d in differences(method))


def test_the_proximal_step_stops_at_the_reference(reference: Reference) -> None:
    method = begun(L1, reference, strength=5.0, form="proximal")  # of a reach of 0.02 * 5 = 0.1
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in method.classifier.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=generator))
    before = differences(method)
    method.add_penalty()
    assert all(weight.grad is None for weight in method.classifier.parameters())
    method.after_step(lr_factor=1.0)
    for d, was in zip(differences(method), before, strict=True):
        expected = torch.nn.functional.softshrink(was, 0.1)
        torch.testing.assert_close(d, expected, rtol=0, atol=1e-6)
    at_rest = torch.cat([d.flatten() for d in differences(method)]) == 0
    assert 0.6 < at_rest.float().mean() < 0.75  # of normal numbers 68 % are within one standard deviation
