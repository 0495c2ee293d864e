"""Out of memory: a trial says with which model and batch, and what to change; every other error stays itself."""

from __future__ import annotations

import pytest
import torch

from fpray.config.file import check_sweep
from fpray.training.loop import TrainingError
from fpray.training.memory import explained

SWEEP = check_sweep({"name": "s", "train": {"batch_size": 96, "accumulate": 3}}, "s")
CPU = torch.device("cpu")


def test_a_gpu_without_memory_is_explained() -> None:
    with (
        pytest.raises(TrainingError, match=r"out of memory on cpu with model ViT-B-16 and batch size 96, .*3 part"),
        explained(SWEEP, "ViT-B-16", CPU),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def test_the_cpus_allocator_is_explained() -> None:
    with pytest.raises(TrainingError, match="lower train.batch_size"), explained(SWEEP, "ViT-B-16", CPU):
        torch.empty(2**50, dtype=torch.uint8).fill_(1)


def test_another_error_stays_itself() -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), explained(SWEEP, "ViT-B-16", CPU):
        torch.ones(2, 3) @ torch.ones(2, 3)
