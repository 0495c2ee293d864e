"""The training loop: stopped after any epoch and resumed, it gives the same bits as without a stop."""

from __future__ import annotations

import dataclasses
import math
import multiprocessing
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import default_collate
from upath import UPath

from fpray.config.augment import Augment
from fpray.config.schema import Sweep
from fpray.config.train import Train
from fpray.data.loading import Draws, EpochBatches
from fpray.methods import METHODS, TrainedMethod
from fpray.model.augment import RandAugment
from fpray.model.reference import Reference, load_reference
from fpray.records.record import Epoch
from fpray.testing import scripted
from fpray.training.checkpoint import Checkpoint, newest_checkpoint
from fpray.training.loop import StoppedError, TrainingError, train
from fpray.training.optimizer import lr_factor
from fpray.training.runtime import Runtime

TRAINED = [name for name, kind in METHODS.items() if issubclass(kind, TrainedMethod)]
SETTINGS = Train(epochs=4, batch_size=20, warmup_steps=3, checkpoint_seconds=0)


def build(name: str, reference: Reference, seed: int = 0, **overrides: Any) -> TrainedMethod:
    """A trained method with its defaults, and with dropout where it has some."""
    methods = [name, *(METHODS[name].builds_on or ())]
    settings = Sweep(name="any", data={"rehearsal": {"source": "pretraining"}}, methods=methods).methods[name]
    params = {key: dimension.extremes()[0] for key, dimension in settings.space().items()}
    params |= {"lr": 1e-3} | ({"dropout": 0.3} if "dropout" in params else {}) | overrides
    torch.manual_seed(seed)
    method = METHODS[name].make(params, reference)
    assert isinstance(method, TrainedMethod)
    return method


def run(method: TrainedMethod, runtime: Runtime, settings: Train = SETTINGS, seed: int = 0) -> tuple[Epoch, ...]:
    kept: list[Checkpoint] = []
    return train(method, settings, seed, method.reference.dataset.splits(), runtime, None, kept.append).history


def without_times(history: tuple[Epoch, ...]) -> list[dict[str, Any]]:
    return [epoch.model_dump(exclude={"seconds", "validation_seconds", "ended"}) for epoch in history]


def weights(method: TrainedMethod) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in method.state_dict().items()}


def equal(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


def stop_and_resume(name: str, reference: Reference, settings: Train, alone: Runtime, tmp_path: Path) -> None:
    """Train a method whole, and from the checkpoint of each of its four epochs on: to the same bits."""

    def keep(checkpoint: Checkpoint) -> None:
        checkpoint.write(UPath(tmp_path) / f"after-{len(checkpoint.history)}")

    whole, splits = build(name, reference), reference.dataset.splits()
    history = train(whole, settings, 0, splits, alone, None, keep).history
    for epochs in range(1, 5):
        start = newest_checkpoint(UPath(tmp_path) / f"after-{epochs}")
        torch.rand(epochs)  # another process has other random numbers behind it
        resumed, kept = build(name, reference), list[int]()
        trained = train(resumed, settings, 0, splits, alone, start, lambda c, kept=kept: kept.append(len(c.history)))
        again = trained.history
        assert equal(weights(resumed), weights(whole))
        assert without_times(again) == without_times(history)
        assert again[:epochs] == history[:epochs]
        assert kept == list(range(epochs + 1, 5))


@pytest.mark.parametrize("name", TRAINED)
def test_stopped_after_any_epoch_and_resumed_it_is_as_if_it_had_not_stopped(
    name: str, reference: Reference, alone: Runtime, tmp_path: Path
) -> None:
    stop_and_resume(name, reference, SETTINGS, alone, tmp_path)


@pytest.mark.parametrize("name", ["full", "kd", "lora", "linear_probe"])
def test_so_it_is_with_every_augmentation(
    name: str, tiny_clip: str, reference: Reference, alone: Runtime, tmp_path: Path
) -> None:
    augment = Augment(scale=(0.3, 1.0), flip=0.5, randaugment=RandAugment(), mixup=0.4, label_smoothing=0.1)
    own = load_reference(tiny_clip, None, reference.dataset, alone.device, augment=augment.pixels)
    settings = SETTINGS.model_copy(update={"augment": augment, "accumulate": 3})
    stop_and_resume(name, own, settings, alone, tmp_path)
    plain, augmented = (build(name, reference) for _ in range(2))
    run(plain, alone)
    run(augmented, alone, settings)
    assert not equal(weights(augmented), weights(plain))


@pytest.mark.parametrize(("seconds", "saved"), [(0, [1, 2, 3, 4, 5]), (15, [2, 4]), (1000, [])])
def test_a_checkpoint_is_written_where_the_last_one_is_old_enough(
    seconds: float, saved: list[int], reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock on which an epoch takes ten seconds."""
    now = 0

    def begin() -> bool:  # asked before every epoch
        nonlocal now
        now += 10
        return False

    monkeypatch.setattr("fpray.training.loop.time", SimpleNamespace(monotonic=lambda: now - 10, time=time.time))
    runtime = Runtime(torch.device("cpu"), stop_asked=begin)
    settings = SETTINGS.model_copy(update={"epochs": 5, "checkpoint_seconds": seconds})
    method, kept, told = build("full", reference), list[int](), list[int]()
    splits = reference.dataset.splits()
    train(
        method, settings, 0, splits, runtime, None, lambda c: kept.append(len(c.history)), lambda h: told.append(len(h))
    )
    assert kept == saved
    assert told == [1, 2, 3, 4, 5]


def test_a_trial_that_is_told_to_stop_writes_a_checkpoint_of_the_epoch_it_was_in(
    reference: Reference, alone: Runtime
) -> None:
    settings = SETTINGS.model_copy(update={"checkpoint_seconds": 1000})
    splits, kept = reference.dataset.splits(), list[Checkpoint]()
    for epochs, written in [(0, []), (2, [2])]:
        method, kept = build("full", reference), list[Checkpoint]()
        stopping = Runtime(torch.device("cpu"), stop_asked=iter([False] * epochs + [True]).__next__)
        with pytest.raises(StoppedError):
            train(method, settings, 0, splits, stopping, None, kept.append)
        assert [len(checkpoint.history) for checkpoint in kept] == written
    whole, resumed = build("full", reference), build("full", reference)
    train(whole, settings, 0, splits, alone, None, kept.append)
    train(resumed, settings, 0, splits, alone, kept[0], kept.append)
    assert equal(weights(resumed), weights(whole))


def test_the_seed_decides(reference: Reference, alone: Runtime) -> None:
    results = []
    for seed in (0, 0, 1):
        torch.rand(seed + 3)
        method = build("full", reference)
        run(method, alone, Train(epochs=1, batch_size=20), seed)
        results.append(weights(method))
    assert equal(results[0], results[1])
    assert not equal(results[0], results[2])


def test_an_epochs_record_says_what_happened(reference: Reference, alone: Runtime) -> None:
    history = run(build("kd", reference), alone)
    assert [(epoch.epoch, epoch.step, epoch.images) for epoch in history] == [
        (1, 2, 40),
        (2, 4, 40),
        (3, 6, 40),
        (4, 8, 40),
    ]
    assert [epoch.lr for epoch in history] == [1e-3 * lr_factor(step, 8, SETTINGS) for step in (1, 3, 5, 7)]
    for epoch in history:
        assert epoch.losses.keys() == {"cross_entropy", "distillation"}
        assert {name: count.total for name, count in epoch.validation.items()} == {
            "id/val": 18,
            "ood/dark/val": 9,
            "ood/washed/val": 10,
        }


@pytest.mark.parametrize(("every", "validated"), [(1, {1, 2, 3, 4, 5}), (2, {2, 4, 5}), (3, {3, 5}), (9, {5})])
def test_validation_images_are_looked_at_every_few_epochs_and_after_the_last(
    every: int, validated: set[int], reference: Reference, alone: Runtime
) -> None:
    settings = Train(epochs=5, batch_size=20, validate_every=every)
    method = build("full", reference)
    history = run(method, alone, settings)
    assert {epoch.epoch for epoch in history if epoch.validation} == validated
    assert settings.validations == len(validated)
    always = build("full", reference)
    assert run(always, alone, Train(epochs=5, batch_size=20))[-1].validation == history[-1].validation
    assert equal(weights(method), weights(always))


def test_the_last_validation_is_handed_on(reference: Reference, alone: Runtime) -> None:
    method, kept = build("full", reference), list[Checkpoint]()
    trained = train(method, SETTINGS, 0, reference.dataset.splits(), alone, None, kept.append)
    assert {split: own.count for split, own in trained.validation.items()} == trained.history[-1].validation
    ended = train(build("full", reference), SETTINGS, 0, reference.dataset.splits(), alone, kept[-1], kept.append)
    assert (ended.history, ended.validation) == (trained.history, {})


def test_one_loader_serves_all_epochs_and_one_all_validation(reference: Reference) -> None:
    """Each has a process here: a new one for each epoch or split would begin with nothing loaded."""
    seen: set[int | None] = set()

    def look() -> None:
        seen.update(process.pid for process in multiprocessing.active_children())

    runtime = Runtime(torch.device("cpu"), beat=look)
    run(build("full", dataclasses.replace(reference, loader_workers=1)), runtime)
    assert len(seen) == 2


def test_it_is_adamw_on_clipped_gradients_and_the_penalty(reference: Reference, alone: Runtime) -> None:
    settings = Train(epochs=2, batch_size=48, warmup_steps=0, clip_grad_norm=0.5, weight_decay=0.2)
    penalty = {"kappa": None, "strength": 0.1, "weight_decay": None}
    looped = build("l2", reference, **penalty)
    history = run(looped, alone, settings)

    plain = build("l2", reference, **penalty).train()
    parameters, start = list(plain.parameters()), list(reference.classifier.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.2)
    data = reference.augmented(next(s for s in reference.dataset.splits() if s.part == "train"))
    batches = iter(EpochBatches(48, 48, seed=0, rank=0, world_size=1, epochs=range(2)))
    for epoch, lr in enumerate((1e-3, 5e-4)):  # the cosine at 0 and half of the way
        batch = reference.on_device(default_collate([Draws(data, 0)[draw] for draw in next(batches)]))
        optimizer.param_groups[0]["lr"] = lr
        optimizer.zero_grad()
        cross_entropy = torch.nn.functional.cross_entropy(plain.classifier(batch["images"]), batch["labels"])
        distance = sum((w - w0).square().sum() for w, w0 in zip(parameters, start, strict=True))
        (cross_entropy + 0.1 * distance).backward()
        assert history[epoch].losses == {"cross_entropy": pytest.approx(cross_entropy.item(), rel=1e-5)}
        torch.nn.utils.clip_grad_norm_(parameters, 0.5)
        optimizer.step()
    for ours, theirs in zip(looped.parameters(), parameters, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=5e-6)


@pytest.mark.parametrize("name", ["full", "lora"])
def test_bfloat16_trains_nearly_the_same(name: str, reference: Reference, alone: Runtime) -> None:
    exact = run(build(name, reference), alone)
    method = build(name, reference)
    rounded = run(method, alone, SETTINGS.model_copy(update={"precision": "bf16"}))
    assert rounded[0].losses != exact[0].losses
    assert rounded[-1].losses["cross_entropy"] == pytest.approx(exact[-1].losses["cross_entropy"], rel=0.1)
    assert {p.dtype for p in method.parameters()} == {torch.float32}


def test_a_loss_that_is_not_finite_is_an_error_that_names_the_epoch(reference: Reference, alone: Runtime) -> None:
    kept: list[Checkpoint] = []
    one_step = Train(epochs=3, batch_size=48, warmup_steps=0, checkpoint_seconds=0)
    method = build("full", reference, lr=1e30)
    with pytest.raises(TrainingError, match=r"loss is not finite in epoch 2: .*cross_entropy.*lower learning rate"):
        train(method, one_step, 0, reference.dataset.splits(), alone, None, kept.append)
    assert [len(checkpoint.history) for checkpoint in kept] == [1]


def test_weights_that_are_not_finite_after_the_last_step_are_an_error(reference: Reference, alone: Runtime) -> None:
    @torch.no_grad()
    def diverge(method: TrainedMethod) -> None:
        method.classifier.head.bias[0] = torch.inf

    one_step = Train(epochs=1, batch_size=48, warmup_steps=0)  # so that no loss sees it
    with pytest.raises(TrainingError, match="weight is not finite after epoch 1"):
        run(scripted(after_step=diverge).make({"lr": 1e-3}, reference), alone, one_step)


def test_the_learning_rate_rises_in_a_line_then_falls_as_a_cosine() -> None:
    settings = Train(warmup_steps=5)
    factors = [lr_factor(step, 105, settings) for step in range(105)]
    assert factors[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert factors[5:] == pytest.approx([math.cos(math.pi * k / 200) ** 2 for k in range(100)])
    assert lr_factor(105, 105, settings) == pytest.approx(0, abs=1e-12)


def test_the_learning_rate_may_stay_constant_after_warmup() -> None:
    factors = [lr_factor(step, 40, Train(warmup_steps=2, schedule="constant")) for step in range(40)]
    assert factors == [0.5] + [1.0] * 39


@pytest.mark.parametrize(("total", "warmup"), [(100, 10), (25, 2), (9, 0), (1, 0)])
def test_warmup_takes_a_tenth_at_most(total: int, warmup: int) -> None:
    factors = [lr_factor(step, total, Train(warmup_steps=500)) for step in range(total)]
    assert factors[:warmup] == pytest.approx([(step + 1) / warmup for step in range(warmup)])
    assert factors[warmup] == 1
    assert all(later < earlier for earlier, later in zip(factors[warmup:], factors[warmup + 1 :], strict=False))
