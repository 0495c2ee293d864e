"""A step: accumulated, checkpointed, compiled or with other loaders, it changes the weights in the same way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fpray.config.train import Train
from fpray.errors import UserError
from fpray.methods import Batch, Group, TrainedMethod, TrainedParams
from fpray.methods.full import Full
from fpray.methods.kd import KD
from fpray.methods.l2 import L2
from fpray.methods.linear_probe import LinearProbe
from fpray.methods.lora import LoRA
from fpray.methods.rehearsal import Rehearsal
from fpray.model.reference import Reference, load_reference
from fpray.testing import first_batch
from fpray.training.optimizer import make_optimizer
from fpray.training.runtime import Runtime
from fpray.training.step import Stepper, cut

PARAMS: dict[type, dict[str, Any]] = {
    L2: {"strength": 0.1},
    KD: {"strength": 0.1, "form": "kl", "temperature": 2.0},
    Rehearsal: {"strength": 0.5, "form": "unlabelled"},
    LoRA: {"rank": 4, "alpha": 8, "dropout": 0, "layers": "both"},
}


def step(
    kind: type[TrainedMethod], reference: Reference, batch: Batch, alone: Runtime, **settings: Any
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """The gradients that a step leaves behind, and its losses. (A weight whose true gradient is 0, as the keys' bias
    has it, is moved by rounding errors alone: so gradients are compared, not weights.)"""
    torch.manual_seed(0)
    method = kind.make({"lr": 1e-3} | PARAMS.get(kind, {}), reference).train()
    with torch.no_grad():
        method.classifier.head.weight.add_(torch.randn(method.classifier.head.weight.shape))  # else distillation is 0
    before = [p.detach().clone() for p in method.parameters()]
    stepper = Stepper(method, Train(batch_size=18, clip_grad_norm=None, **settings), alone, steps=9)
    losses = stepper.step(batch, 0.5)
    assert any(not torch.equal(p, old) for p, old in zip(method.parameters(), before, strict=True))
    gradients = {name: p.grad for name, p in method.named_parameters() if p.grad is not None}
    return gradients, {name: loss.item() for name, loss in losses.items()}


@pytest.fixture
def batch(pixels: Tensor, labels: Tensor) -> Batch:
    return {"images": pixels, "labels": labels}


def assert_same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for name, gradient in theirs.items():
        torch.testing.assert_close(ours[name], gradient, rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize("kind", [Full, L2, KD, LoRA])
@pytest.mark.parametrize("parts", [2, 3, 5])
def test_a_batch_in_parts_gives_the_same_step(
    kind: type[TrainedMethod], parts: int, reference: Reference, batch: Batch, alone: Runtime
) -> None:
    whole, losses = step(kind, reference, batch, alone)
    accumulated, same = step(kind, reference, batch, alone, accumulate=parts)
    assert_same(accumulated, whole)  # 18 images in 5 parts are 4, 4, 4, 4 and 2: each counts by its size
    assert same == pytest.approx(losses, rel=1e-5)


class Weighted(TrainedMethod[TrainedParams]):
    """Its training data has a third key, a weight for each image."""

    name = "weighted"
    Params = TrainedParams

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        each = F.cross_entropy(self.classifier(batch["images"]), batch["labels"], reduction="none")
        return {"weighted": (batch["weights"] * each).mean()}


def test_every_value_of_a_batch_is_cut_with_its_images(reference: Reference, batch: Batch, alone: Runtime) -> None:
    more = {"weights": torch.rand(18, generator=torch.Generator().manual_seed(0)), **batch}
    assert [{name: len(value) for name, value in part.items()} for part in cut(more, 4)] == [
        {"weights": size, "images": size, "labels": size} for size in (5, 5, 5, 3)
    ]
    whole, losses = step(Weighted, reference, more, alone)
    accumulated, same = step(Weighted, reference, more, alone, accumulate=4)
    assert_same(accumulated, whole)
    assert same == pytest.approx(losses, rel=1e-5)


def test_what_is_replayed_is_cut_in_as_many_parts(reference: Reference, batch: Batch, alone: Runtime) -> None:
    replayed = torch.randn(10, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    more = {**batch, "replayed": replayed}
    sizes = [{name: len(value) for name, value in part.items()} for part in cut(more, 4)]
    assert [size["images"] for size in sizes] == [5, 5, 4, 4] == [size["labels"] for size in sizes]
    assert [size["replayed"] for size in sizes] == [3, 3, 2, 2]
    assert len(list(cut({**batch, "replayed": replayed[:3]}, 4))) == 3
    whole, losses = step(Rehearsal, reference, more, alone)
    accumulated, same = step(Rehearsal, reference, more, alone, accumulate=2)
    assert_same(accumulated, whole)
    assert same == pytest.approx(losses, rel=1e-5)


@pytest.mark.parametrize("kind", [Full, LoRA])
def test_gradient_checkpointing_gives_the_same_step(
    kind: type[TrainedMethod], tiny_clip: str, reference: Reference, batch: Batch, alone: Runtime
) -> None:
    checkpointing = load_reference(tiny_clip, None, reference.dataset, torch.device("cpu"))
    checkpointing.classifier.encoder.set_grad_checkpointing()
    assert_same(step(kind, checkpointing, batch, alone)[0], step(kind, reference, batch, alone)[0])


@pytest.mark.parametrize("kind", [Full, LoRA, KD])
def test_a_compiled_encoder_gives_the_same_step_and_the_same_names(
    kind: type[TrainedMethod],
    reference: Reference,
    batch: Batch,
    alone: Runtime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The graph is captured as ever, but not handed to a C++ compiler, which a machine need not have.
    compiled: list[nn.Module] = []
    original, function = nn.Module.compile, torch.compile
    passes: list[bool] = []

    def compile_eagerly(module: nn.Module) -> None:
        compiled.append(module)
        original(module, backend="eager")

    def compile_fixed_eagerly(work: Callable[..., Any], **named: Any) -> Callable[..., Any]:
        if named:  # asked by the module's own `compile`
            return function(work, **named)
        whole = function(work, backend="eager")
        return lambda batch: (passes.append(True), whole(batch))[1]

    monkeypatch.setattr(nn.Module, "compile", compile_eagerly)
    monkeypatch.setattr(torch, "compile", compile_fixed_eagerly)
    whole, _ = step(kind, reference, batch, alone)
    assert_same(step(kind, reference, batch, alone, compile=True)[0], whole)
    assert len(compiled) == 1
    assert bool(passes) == (kind is KD)


def test_weight_decay_on_matrices_spares_vectors_as_open_clip_does(reference: Reference) -> None:
    method = Full.make({"lr": 1e-3}, reference)
    named = list(method.named_parameters())
    settings = Train(weight_decay=0.3, weight_decay_on="matrices")
    groups = make_optimizer(method.groups(), settings).param_groups
    decayed = {id(p) for group in groups if group["weight_decay"] == 0.3 for p in group["params"]}
    # open_clip's training (open_clip_train/main.py) excludes by name and dimension.
    expected = {id(p) for name, p in named if not (p.ndim < 2 or any(word in name for word in ("bn", "ln", "bias")))}
    assert decayed == expected
    assert sum(len(group["params"]) for group in groups) == len(named)
    assert {group["weight_decay"] for group in groups} == {0.3, 0.0}


def test_weight_decay_is_on_all_weights_by_default_as_in_wise_ft(reference: Reference) -> None:
    method = Full.make({"lr": 1e-3}, reference)
    groups = make_optimizer(method.groups(), Train()).param_groups
    assert {group["weight_decay"] for group in groups} == {0.1}
    assert sum(len(group["params"]) for group in groups) == len(list(method.parameters()))


@pytest.mark.parametrize("kind", [Full, LoRA, LinearProbe])
def test_the_head_has_a_learning_rate_and_weight_decay_of_its_own(
    kind: type[TrainedMethod], reference: Reference, alone: Runtime
) -> None:
    own = {"head_lr": 0.3, "head_weight_decay": 0.02, "weight_decay": 0.01, "lr": 1e-3}
    rank = {"rank": 2, "dropout": 0.0, "layers": "both"} if kind is LoRA else {}
    method = kind.make(own | rank, reference)
    stepper = Stepper(method.train(), Train(batch_size=18), alone, steps=9)
    head = {id(weight) for weight in method.classifier.head.parameters()}
    trained = [weight for weight in method.parameters() if weight.requires_grad]
    found = {id(w): group for group in stepper.optimizer.param_groups for w in group["params"]}
    assert found.keys() == {id(weight) for weight in trained}
    stepper.step(first_batch(method), 0.5)
    for weight, group in found.items():
        expected = (0.15, 0.02) if weight in head else (0.0005, 0.01)
        assert (group["lr"], group["weight_decay"]) == pytest.approx(expected)


def test_the_fused_optimizer_is_adamw(reference: Reference) -> None:
    torch.manual_seed(3)
    ours, theirs = (nn.Parameter(w.clone()) for w in [torch.randn(5, 7)] * 2)
    fused = make_optimizer([Group([ours], 1e-2, None)], Train())
    plain = torch.optim.AdamW([theirs], 1e-2, weight_decay=0.1)
    for _ in range(20):
        ours.grad = torch.randn(5, 7)
        theirs.grad = ours.grad.clone()
        fused.step()
        plain.step()
    torch.testing.assert_close(ours, theirs)


class Nameless(Full):
    """Full fine-tuning that forgets to name its loss."""

    def forward(self, batch: Batch) -> Any:
        return super().forward(batch)["cross_entropy"]


class Unreduced(Full):
    """Full fine-tuning that forgets to take the mean."""

    def forward(self, batch: Batch) -> Any:
        logits = self.classifier(batch["images"])
        return {"cross_entropy": F.cross_entropy(logits, batch["labels"], reduction="none")}


@pytest.mark.parametrize("kind", [Nameless, Unreduced])
def test_losses_that_are_no_named_scalars_are_a_sentence(
    kind: type[Full], reference: Reference, batch: Batch, alone: Runtime
) -> None:
    stepper = Stepper(kind.make({"lr": 1e-3}, reference).train(), Train(batch_size=18), alone, steps=9)
    with pytest.raises(UserError, match="'full' must give its losses as a mapping of names to scalar tensors"):
        stepper.step(batch, 1.0)
