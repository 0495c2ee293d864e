"""Two workers that share a batch have, of every method, the gradients of one that has the whole of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from safetensors.torch import load_file, save_file
from torch import Tensor

from fpray.config import Sweep, Train
from fpray.data import Batch
from fpray.methods import METHODS, TrainedMethod
from fpray.model import weights_of
from fpray.testing import first_batch, small_reference
from fpray.training import Runtime, ValidationBench
from fpray.training.step import Stepper

TRAINED = sorted(name for name, method in METHODS.items() if issubclass(method, TrainedMethod))
SETTINGS = Train(epochs=1, batch_size=12, warmup_steps=0, clip_grad_norm=None)


def build(name: str) -> TrainedMethod[Any]:
    """A method away from the reference, whose penalty and teacher have something to say there."""
    reference = small_reference()
    methods, replayed = [name, *(METHODS[name].builds_on or ())], {"rehearsal": {"source": "pretraining"}}
    space = Sweep(name="any", data=replayed, methods=methods).methods[name].space()
    params = {key: dimension.extremes()[-1] for key, dimension in space.items()}
    torch.manual_seed(0)
    method = METHODS[name].make(params | ({"dropout": 0.0} if "dropout" in params else {}), reference)
    assert isinstance(method, TrainedMethod)
    if method.builds_on is not None:
        method.take_sources([weights_of(reference.classifier)])
    if method.compares_images:
        method.prompts = method.prompts[:, :1]  # so that no worker draws other texts than the other
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in (p for p in method.parameters() if p.requires_grad):
            weight.add_(0.03 * torch.randn(weight.shape, generator=generator))
    return method


def gradients(name: str, share: Callable[[Batch], Batch], runtime: Runtime) -> Mapping[str, Tensor]:
    """Those of a step that changes no weight."""
    method = build(name)
    stepper = Stepper(method, SETTINGS, runtime, steps=4)
    method.train()
    stepper.step(share(first_batch(method)), lr_factor=0.0)
    return {key: p.grad.contiguous() for key, p in method.named_parameters() if p.grad is not None}


def share_of(rank: int, batch: Batch) -> Batch:
    return {key: value[rank::2] for key, value in batch.items()}


def worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
    for name in TRAINED:
        found = gradients(name, partial(share_of, rank), Runtime(torch.device("cpu"), rank, 2))
        save_file(dict(found), f"{folder}/{name}-{rank}.safetensors")
    found = answers(Runtime(torch.device("cpu"), rank, 2))
    save_file(found, f"{folder}/bench-{rank}.safetensors")
    dist.destroy_process_group()


def answers(runtime: Runtime) -> dict[str, Tensor]:
    """What the bench says of the reference, and the images of its batches."""
    bench = ValidationBench(small_reference(), runtime, None, 128)
    images = torch.stack([batch["images"] for batch in bench.batches(3, 4)])
    return {"accuracy": torch.tensor(bench.accuracy(small_reference().classifier)), "images": images}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with each method's gradients on each of two workers."""
    folder = tmp_path_factory.mktemp("two-workers")
    mp.spawn(worker, (str(folder),), nprocs=2)
    return folder


@pytest.mark.parametrize("name", TRAINED)
def test_two_workers_have_the_gradients_of_one(name: str, shared: Path, alone: Runtime) -> None:
    whole = gradients(name, lambda batch: batch, alone)
    for rank in range(2):
        own = load_file(shared / f"{name}-{rank}.safetensors")
        assert own.keys() == whole.keys()
        for key, gradient in whole.items():
            torch.testing.assert_close(own[key], gradient, rtol=1e-3, atol=1e-3 * float(gradient.abs().max()), msg=key)


def test_two_workers_get_the_benchs_answers_to_one(shared: Path, alone: Runtime) -> None:
    whole = answers(alone)
    assert 0 < float(whole["accuracy"]) < 1
    for rank in range(2):
        own = load_file(shared / f"bench-{rank}.safetensors")
        torch.testing.assert_close(own, whole)
