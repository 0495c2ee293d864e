"""Distillation: each form of the distance against torch's own function, and nothing at the reference."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fpray.methods import Course
from fpray.methods.kd import KD, kl
from fpray.model.reference import Reference

FORMS = ["kl", "mse_logits", "mse_features"]


def method_of(reference: Reference, moved: bool, **params: Any) -> KD:
    method = KD.make({"lr": 1e-3, "strength": 0.5, "form": "kl", "temperature": 1.0} | params, reference)
    if moved:
        with torch.no_grad():
            for index, weight in enumerate(method.classifier.parameters()):
                weight.add_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(index)))
    return method.eval()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_kl_is_torchs_kl_div_times_the_squared_temperature(temperature: float) -> None:
    logits, known = torch.randn(2, 7, 5, generator=torch.Generator().manual_seed(0)) * 3
    student = F.log_softmax(logits / temperature, dim=-1)
    teacher = F.softmax(known / temperature, dim=-1)
    expected = temperature**2 * F.kl_div(student, teacher, reduction="batchmean")
    torch.testing.assert_close(kl(logits, known, temperature), expected)
    by_hand = temperature**2 * (teacher * (teacher.log() - student)).sum() / 7
    torch.testing.assert_close(kl(logits, known, temperature), by_hand, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_nothing_to_distil_at_the_reference(form: str, reference: Reference, pixels: Tensor, labels: Tensor) -> None:
    method = method_of(reference, moved=False, form=form)
    losses = method({"images": pixels, "labels": labels})
    assert losses["distillation"].item() == pytest.approx(0, abs=1e-6)
    losses["distillation"].backward()
    assert all(p.grad is None or p.grad.abs().max() < 1e-4 for p in method.classifier.parameters())


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_its_formula(form: str, reference: Reference, pixels: Tensor, labels: Tensor) -> None:
    method = method_of(reference, moved=True, form=form, temperature=2.0)
    ours, theirs = method.classifier, reference.classifier
    losses = method({"images": pixels, "labels": labels})
    with torch.no_grad():
        expected = {
            "kl": 4
            * F.kl_div((ours(pixels) / 2).log_softmax(-1), (theirs(pixels) / 2).softmax(-1), reduction="batchmean"),
            "mse_logits": ((ours(pixels) - theirs(pixels)) ** 2).mean(),
            "mse_features": ((ours.features(pixels) - theirs.features(pixels)).norm(dim=1) ** 2).mean(),
        }[form]
        cross_entropy = F.cross_entropy(ours(pixels), labels)
    assert expected > 1e-3
    torch.testing.assert_close(losses["distillation"].detach(), 0.5 * expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(losses["cross_entropy"].detach(), cross_entropy)


def test_without_strength_it_is_cross_entropy(reference: Reference, pixels: Tensor, labels: Tensor) -> None:
    losses = method_of(reference, moved=True, strength=0.0)({"images": pixels, "labels": labels})
    assert losses["distillation"] == 0


@pytest.mark.parametrize("teacher", ["ema", "wma"])
def test_an_average_of_the_weights_may_teach(
    teacher: str, reference: Reference, pixels: Tensor, labels: Tensor
) -> None:
    method = method_of(reference, moved=False, teacher=teacher, horizon=0.25)
    method.begin(Course([1.0] * 8, None))
    assert method.fixed({"images": pixels}) is None
    seen = [method.classifier.head.weight.detach().clone()]
    with torch.no_grad():
        for _ in range(3):
            method.classifier.head.weight += torch.arange(3.0)[:, None]
            seen.append(method.classifier.head.weight.detach().clone())
            method.after_step(1.0)
    average = copy.deepcopy(reference.classifier)
    with torch.no_grad():
        if teacher == "ema":  # reaches back over 2 of 8 steps
            expected = seen[0]
            for weight in seen[1:]:
                expected = (expected + weight) / 2
        else:
            density = [((n + 0.5) / 9 * (1 - (n + 0.5) / 9)) ** -0.5 for n in range(4)]
            expected = sum(share * weight for share, weight in zip(density, seen, strict=True)) / sum(density)
        average.head.weight.copy_(expected)
        distance = kl(method.classifier(pixels), average(pixels), 1.0)
    losses = method({"images": pixels, "labels": labels})
    assert distance > 1e-6
    torch.testing.assert_close(losses["distillation"].detach(), 0.5 * distance, rtol=1e-3, atol=1e-6)
    losses["distillation"].backward()
    assert all(weight.grad is None for weight in method.average.parameters())
