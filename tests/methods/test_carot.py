"""CaRot: each term is its formula, and the teacher follows as its authors have it."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fpray.methods import Course
from fpray.methods.carot import CaRot, distance
from fpray.model import Reference
from fpray.testing import first_batch

PARAMS = {"lr": 1e-3, "strength": 1.5, "orthogonality": 0.2, "overlap": 0.05, "interval": 0.1}


def made(reference: Reference, **params: Any) -> CaRot:
    return CaRot.make(PARAMS | params, reference)


def moved(reference: Reference, **params: Any) -> CaRot:
    """The method away from the reference, and so from its teacher."""
    method, generator = made(reference, **params), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in (p for p in method.parameters() if p.requires_grad):
            weight.add_(0.05 * torch.randn(weight.shape, generator=generator))
    return method.eval()


def frobenius(matrix: Tensor) -> float:
    return math.sqrt(sum(float(value) ** 2 for value in matrix.flatten()))


def test_the_projections_are_the_towers_own(reference: Reference) -> None:
    method = moved(reference)
    visual, text = method.clip.visual.proj.detach(), method.clip.text_projection.detach()
    with torch.no_grad():
        losses = method(first_batch(method))
    products = torch.tensor([[float(a @ b) - (i == j) for j, b in enumerate(visual.T)] for i, a in enumerate(visual.T)])
    assert float(losses["orthogonality"]) == pytest.approx(0.2 * frobenius(products), rel=1e-4)
    overlap = torch.tensor([[float(v @ t) for t in text] for v in visual])
    assert float(losses["overlap"]) == pytest.approx(0.05 * frobenius(overlap), rel=1e-4)


def test_the_distance_to_the_teacher_has_the_gradient_of_the_authors_cross_entropy() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, teachers = (torch.randn(4, 4, generator=generator) for _ in range(2))
    logits.requires_grad_()
    total = 0.0
    for own, theirs in ((logits, teachers), (logits.T, teachers.T)):
        for row, known in zip(own.softmax(dim=-1), theirs.softmax(dim=-1), strict=True):
            total = total - sum(q * p.log() for p, q in zip(row, known, strict=True))
    (expected,) = torch.autograd.grad(total / 4, logits)
    (found,) = torch.autograd.grad(distance(logits, teachers), logits)
    torch.testing.assert_close(found, expected)
    assert float(distance(logits.detach(), logits.detach())) == pytest.approx(0, abs=1e-6)


def test_the_teacher_begins_as_the_pretrained_model(reference: Reference) -> None:
    method, clip = moved(reference), reference.loaded
    batch = first_batch(method)
    prompts = method.drawn_prompts(batch["labels"])
    with torch.no_grad():
        images, texts = reference.classifier.features(batch["images"]), clip.encode_tokens(prompts)
        torch.testing.assert_close(method.teachers_logits(batch["images"], prompts), 20 * images @ texts.T)


def test_the_loss_is_the_sum_of_its_terms_weights(reference: Reference) -> None:
    method, stronger = moved(reference), moved(reference, strength=3.0)
    batch = first_batch(method)
    found = []
    for own in (method, stronger):
        torch.manual_seed(1)
        with torch.no_grad():
            found.append(own(batch))
    torch.testing.assert_close(found[1]["distillation"], 2 * found[0]["distillation"])
    assert {name: value for name, value in found[0].items() if name != "distillation"} == {
        name: value for name, value in found[1].items() if name != "distillation"
    }


def test_the_teacher_follows_every_so_many_steps(reference: Reference) -> None:
    """In 20 steps with an interval of a tenth: at every second step; the momentum rises over the first 4."""
    method = made(reference)
    method.begin(Course([1.0] * 20, None))
    weight, teacher = method.clip.text_projection, method.teacher.get_buffer("text_projection")
    expected = teacher.clone()
    for step in range(20):
        with torch.no_grad():
            weight += 0.1
        method.after_step(1.0)
        if step % 2 == 0:
            m = 0.05 + 0.85 * step / 4 if step < 4 else 0.9
            expected = m * expected + (1 - m) * weight.detach()
        torch.testing.assert_close(teacher, expected)


def test_the_teacher_is_in_checkpoints_and_never_trained(reference: Reference) -> None:
    method = made(reference).train()
    assert not list(method.teacher.parameters())
    assert not any(part.training for part in method.teacher.modules())
    assert "teacher.visual.proj" in dict(method.named_buffers())
    assert F.mse_loss(method.teacher.get_buffer("visual.proj"), reference.loaded.clip.visual.proj) == 0
