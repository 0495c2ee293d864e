"""The second stream: batches of their own size and order, the same for a training that is gone on with."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor

from fpray.config.train import Train
from fpray.data import REPLAYED, Batch, DataOptions, EpochBatches, RehearsalOptions
from fpray.kept import kept_files
from fpray.methods.base import TrainedMethod
from fpray.methods.full import Full
from fpray.methods.rehearsal import Rehearsal
from fpray.model.reference import Reference
from fpray.seeds import replay_seed
from fpray.testing import Squares, first_batch, small_reference
from fpray.training.batchsize import take_steps
from fpray.training.replay import replayed_sample, with_replayed
from fpray.training.runtime import Runtime
from fpray.training.speed import measured_speed
from fpray.training.step import Stepper

STEPS = 4
"""Of an epoch of training images."""
IMAGES = 30
"""That are replayed."""


def replaying(batch_size: int | None = None, form: str = "unlabelled", **changes: Any) -> Rehearsal:
    """The method with so many replayed images in a step."""
    squares = Squares()
    squares.options = DataOptions(rehearsal=RehearsalOptions(source="pretraining", batch_size=batch_size))
    reference = dataclasses.replace(small_reference(), dataset=squares, **changes)
    return Rehearsal.make({"lr": 1e-3, "strength": 0.5, "form": form}, reference)


def stream(
    method: TrainedMethod[Any], *, epochs: range = range(3), seed: int = 0, rank: int = 0, workers: int = 1
) -> list[Batch]:
    """The batches of some of a training's three epochs of 48 images in batches of 12."""
    batches = EpochBatches(48, 12, seed, rank, workers, epochs)
    own: Iterator[Batch] = ({"draws": torch.tensor(n)} for n in range(len(batches)))
    return list(with_replayed(own, method, seed, Runtime(torch.device("cpu"), rank, workers), batches, 3))


def replayed(batches: list[Batch]) -> list[Tensor]:
    return [batch["replayed"] for batch in batches]


def test_batches_have_a_size_of_their_own_and_keep_the_training_images_places() -> None:
    batches = stream(replaying(7))
    assert [len(own) for own in replayed(batches)] == [7] * 3 * STEPS
    assert [int(batch["draws"]) for batch in batches] == list(range(3 * STEPS))
    assert {len(own) for own in replayed(stream(replaying()))} == {12}


@pytest.mark.parametrize("size", [7, 10, 12, 500])
def test_a_training_that_is_gone_on_with_meets_the_same(size: int) -> None:
    whole = replayed(stream(replaying(size)))
    for epoch in range(1, 3):
        torch.rand(epoch)
        rest = replayed(stream(replaying(size), epochs=range(epoch, 3)))
        assert all(torch.equal(a, b) for a, b in zip(rest, whole[epoch * STEPS :], strict=True))


def test_loader_processes_change_nothing() -> None:
    one, other = replayed(stream(replaying(7))), replayed(stream(replaying(7, loader_workers=2)))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_another_seed_gives_another_order_and_other_crops() -> None:
    one, other = replayed(stream(replaying(30))), replayed(stream(replaying(30), seed=1))
    assert not torch.equal(one[0], other[0])
    same = sum(torch.equal(a, b) for a in one[0] for b in one[1])
    assert same < 10, "each round crops anew, and few of 30 small pictures the same way"


def test_workers_share_each_batch_out() -> None:
    whole = replayed(stream(replaying(8)))
    shares = [replayed(stream(replaying(8), rank=rank, workers=2)) for rank in range(2)]
    for one, first, second in zip(whole, *shares, strict=True):
        assert len(first) == len(second) == 4
        assert torch.equal(one[0::2], first) and torch.equal(one[1::2], second)


def test_a_method_without_a_second_stream_has_the_batches_as_they_are(reference: Reference, alone: Runtime) -> None:
    own: Iterator[Batch] = iter([{}])
    batches = EpochBatches(48, 12, 0, 0, 1, range(3))
    assert with_replayed(own, Full.make({"lr": 1e-3}, reference), 0, alone, batches, 3) is own
    assert replayed_sample(Full.make({"lr": 1e-3}, reference), 5) == {}


def test_crops_are_kept_for_the_trials_that_follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FPRAY_CACHE", str(tmp_path))
    plain = replayed(stream(replaying(7)))
    first, second = (replayed(stream(replaying(7, kept_bytes=2**24))) for _ in range(2))
    # 12 batches of 7, of which 30 images have 4 a round.
    assert [what for _, what in kept_files()] == [f"{IMAGES} images at 32 x 32, 3 epochs of seed {replay_seed(0)}"]
    for own in (first, second):
        assert all(torch.equal(a, b) for a, b in zip(own, plain, strict=True))


def test_tried_and_timed_steps_have_what_is_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, int]] = []

    def look(stepper: Stepper, batch: Batch, lr_factor: float) -> dict[str, Tensor]:
        seen.append({name: len(value) for name, value in batch.items() if name != "draws"})
        return {}

    monkeypatch.setattr(Stepper, "step", look)
    take_steps(replaying(7, "captions"), Train(batch_size=8), 5)
    measured_speed(replaying(), Train(batch_size=8), loaders=0)
    assert seen[0] == {"images": 5, "labels": 5, "replayed": 7, "replayed_captions": 7}
    assert seen[-1] == {"images": 8, "labels": 8, "replayed": 8}


def gradients(form: str, runtime: Runtime) -> dict[str, Tensor]:
    """Those of a step on this worker's share of 12 images and 8 replayed ones."""
    method = replaying(8, form)
    with torch.no_grad():
        for weight in method.classifier.parameters():
            weight.add_(0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)))
    whole = first_batch(method)
    whole = {name: value[:8] if name.startswith(REPLAYED) else value for name, value in whole.items()}
    share = {name: value[runtime.rank :: runtime.world_size] for name, value in whole.items()}
    stepper = Stepper(method.train(), Train(batch_size=12, clip_grad_norm=None), runtime, steps=2)
    stepper.step(share, 1.0)
    return {name: weight.grad for name, weight in method.named_parameters() if weight.grad is not None}


def worker(rank: int, form: str, meeting: str, results: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{meeting}", rank=rank, world_size=2)
    torch.save(gradients(form, Runtime(torch.device("cpu"), rank, 2)), Path(results) / str(rank))
    dist.destroy_process_group()


@pytest.mark.parametrize("form", ["unlabelled", "captions"])
def test_two_workers_take_the_step_of_one(form: str, tmp_path: Path, alone: Runtime) -> None:
    mp.spawn(worker, (form, str(tmp_path / "meeting"), str(tmp_path)), nprocs=2)
    expected = gradients(form, alone)
    for rank in range(2):
        found = torch.load(tmp_path / str(rank), weights_only=True)
        assert found.keys() == expected.keys()
        for name, gradient in expected.items():
            torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6, msg=name)
