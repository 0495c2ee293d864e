"""Kappa: at 0 a penalised method is full fine-tuning, far below 1 nearly so, and far above 1 it stays at the start."""

from __future__ import annotations

import pytest
import torch

from fpray.config import Train
from fpray.methods import METHODS, TrainedMethod
from fpray.model import Reference
from fpray.training import Runtime, train

SETTINGS = Train(epochs=10, batch_size=16, warmup_steps=0, weight_decay=0.0)
FORMS = [("l1", "coupled"), ("l1", "proximal"), ("l2", "coupled"), ("l2", "decoupled")]


def trained(method: TrainedMethod, reference: Reference, alone: Runtime) -> torch.Tensor:
    """All weights after a training, as one vector."""
    torch.manual_seed(0)
    train(method, SETTINGS, 0, reference.dataset.splits(), alone, None, lambda checkpoint: None)
    return torch.cat([weight.detach().flatten() for weight in method.classifier.parameters()])


@pytest.fixture
def full(reference: Reference, alone: Runtime) -> torch.Tensor:
    return trained(METHODS["full"].make({"lr": 1e-3}, reference), reference, alone)


@pytest.fixture
def start(reference: Reference) -> torch.Tensor:
    return torch.cat([weight.flatten() for weight in reference.classifier.parameters()])


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_without_a_penalty_it_is_full_fine_tuning(
    name: str, form: str, full: torch.Tensor, reference: Reference, alone: Runtime
) -> None:
    for strength in ({"kappa": 0.0}, {"strength": 0.0}):
        own = METHODS[name].make({"lr": 1e-3, "form": form, **strength}, reference)
        torch.testing.assert_close(trained(own, reference, alone), full, rtol=0, atol=1e-7)


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_it_begins_to_hold_weights_back_about_1(
    name: str, form: str, full: torch.Tensor, start: torch.Tensor, reference: Reference, alone: Runtime
) -> None:
    def share_of_the_way(kappa: float) -> float:
        own = METHODS[name].make({"lr": 1e-3, "form": form, "kappa": kappa}, reference)
        return float((trained(own, reference, alone) - start).norm() / (full - start).norm())

    shares = [share_of_the_way(kappa) for kappa in (0.03, 0.3, 1.0, 3.0, 100.0)]
    assert shares == sorted(shares, reverse=True)
    nothing, _, one, _, all_of_it = shares
    assert nothing > 0.9 and 0.3 < one < 0.9 and all_of_it < 0.2
