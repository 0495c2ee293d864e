"""What a trial that runs out of memory says."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from fpray.config import Sweep
from fpray.train import TrainingError


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error is a GPU's or (where the operating system refuses) the CPU's lack of memory."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


@contextlib.contextmanager
def explained(sweep: Sweep, model: str, device: torch.device) -> Iterator[None]:
    """Turn a lack of memory in training or evaluation into a `TrainingError` that says what to change."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        train, workers = sweep.train, sweep.resources.workers
        raise TrainingError(
            f"out of memory on {device.type} with model {model} and batch size {train.batch_size}, on {workers} "
            f"worker(s) in {train.accumulate} part(s) each: raise train.accumulate, set train.gradient_checkpointing "
            "to true, or lower train.batch_size"
        ) from None
