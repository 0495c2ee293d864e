"""A step: accumulated, checkpointed, compiled or with other loaders, it changes the weights in the same way."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fpray.config import Train
from fpray.methods import TrainedMethod
from fpray.methods.full import Full
from fpray.methods.kd import KD
from fpray.methods.l2 import L2
from fpray.methods.lora import LoRA
from fpray.optimizer import make_optimizer
from fpray.reference import Reference, load_reference
from fpray.runtime import Runtime
from fpray.step import Stepper

PARAMS: dict[type, dict[str, Any]] = {
    Full: {},
    L2: {"strength": 0.1},
    KD: {"strength": 0.1, "form": "kl", "temperature": 2.0},
    LoRA: {"rank": 4, "alpha": 8, "dropout": 0, "layers": "both"},
}


def step(
    kind: type[TrainedMethod], reference: Reference, batch: tuple[Tensor, Tensor], alone: Runtime, **settings: Any
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """The gradients that a step leaves behind, and its losses. (A weight whose true gradient is 0, as the keys' bias
    has it, is moved by rounding errors alone: so gradients are compared, not weights.)"""
    torch.manual_seed(0)
    method = kind(kind.Params.model_validate({"lr": 1e-3} | PARAMS[kind]), reference).train()
    with torch.no_grad():
        method.classifier.head.weight.add_(torch.randn(method.classifier.head.weight.shape))  # else distillation is 0
    before = [p.detach().clone() for p in method.parameters()]
    stepper = Stepper(method, Train(batch_size=18, clip_grad_norm=None, **settings), alone)
    losses = stepper.step(*batch, 0.5)
    assert any(not torch.equal(p, old) for p, old in zip(method.parameters(), before, strict=True))
    gradients = {name: p.grad for name, p in method.named_parameters() if p.grad is not None}
    return gradients, {name: loss.item() for name, loss in losses.items()}


@pytest.fixture
def batch(pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    return pixels, labels


def assert_same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for name, gradient in theirs.items():
        torch.testing.assert_close(ours[name], gradient, rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize("kind", [Full, L2, KD, LoRA])
@pytest.mark.parametrize("parts", [2, 3, 5])
def test_a_batch_in_parts_gives_the_same_step(
    kind: type[TrainedMethod], parts: int, reference: Reference, batch: tuple[Tensor, Tensor], alone: Runtime
) -> None:
    whole, losses = step(kind, reference, batch, alone)
    accumulated, same = step(kind, reference, batch, alone, accumulate=parts)
    assert_same(accumulated, whole)  # 18 images in 5 parts are 4, 4, 4, 4 and 2: each counts by its size
    assert same == pytest.approx(losses, rel=1e-5)


@pytest.mark.parametrize("kind", [Full, LoRA])
def test_gradient_checkpointing_gives_the_same_step(
    kind: type[TrainedMethod], tiny_clip: str, reference: Reference, batch: tuple[Tensor, Tensor], alone: Runtime
) -> None:
    checkpointing = load_reference(tiny_clip, None, reference.dataset, torch.device("cpu"))
    checkpointing.classifier.encoder.set_grad_checkpointing()
    assert_same(step(kind, checkpointing, batch, alone)[0], step(kind, reference, batch, alone)[0])


@pytest.mark.parametrize("kind", [Full, LoRA])
def test_a_compiled_encoder_gives_the_same_step_and_the_same_names(
    kind: type[TrainedMethod],
    reference: Reference,
    batch: tuple[Tensor, Tensor],
    alone: Runtime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The graph is captured as ever, but not handed to a C++ compiler, which a machine need not have.
    compiled: list[nn.Module] = []
    original = nn.Module.compile

    def compile_eagerly(module: nn.Module) -> None:
        compiled.append(module)
        original(module, backend="eager")

    monkeypatch.setattr(nn.Module, "compile", compile_eagerly)
    whole, _ = step(kind, reference, batch, alone)
    assert_same(step(kind, reference, batch, alone, compile=True)[0], whole)
    assert len(compiled) == 1


def test_weight_decay_on_matrices_spares_vectors_as_open_clip_does(reference: Reference) -> None:
    method = Full(Full.Params(lr=1e-3), reference)
    named = list(method.named_parameters())
    settings = Train(weight_decay=0.3, weight_decay_on="matrices")
    groups = make_optimizer([p for _, p in named], 1e-3, settings).param_groups
    decayed = {id(p) for group in groups if group["weight_decay"] == 0.3 for p in group["params"]}
    # open_clip's training (open_clip_train/main.py) excludes by name and dimension.
    expected = {id(p) for name, p in named if not (p.ndim < 2 or any(word in name for word in ("bn", "ln", "bias")))}
    assert decayed == expected
    assert sum(len(group["params"]) for group in groups) == len(named)
    assert {group["weight_decay"] for group in groups} == {0.3, 0.0}


def test_weight_decay_is_on_all_weights_by_default_as_in_wise_ft(reference: Reference) -> None:
    method = Full(Full.Params(lr=1e-3), reference)
    (group,) = make_optimizer(list(method.parameters()), 1e-3, Train()).param_groups
    assert group["weight_decay"] == 0.1
    assert len(group["params"]) == len(list(method.parameters()))


def test_the_fused_optimizer_is_adamw(reference: Reference) -> None:
    torch.manual_seed(3)
    ours, theirs = (nn.Parameter(w.clone()) for w in [torch.randn(5, 7)] * 2)
    fused, plain = make_optimizer([ours], 1e-2, Train()), torch.optim.AdamW([theirs], 1e-2, weight_decay=0.1)
    for _ in range(20):
        ours.grad = torch.randn(5, 7)
        theirs.grad = ours.grad.clone()
        fused.step()
        plain.step()
    torch.testing.assert_close(ours, theirs)
