"""The message of a trial that runs out of memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from fpray.config import TrialSettings
from fpray.training.loop import TrainingError

SAID = ("out of memory", "ALLOC_FAILED", "can't allocate memory")
"""The words of CUDA, its libraries and the CPU's allocator where torch has no error of its own for it."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error is a GPU's or (where the operating system refuses) the CPU's lack of memory."""
    said = str(error)
    return isinstance(error, torch.OutOfMemoryError) or any(words in said for words in SAID)


@contextlib.contextmanager
def explained(settings: TrialSettings, model: str, device: torch.device) -> Iterator[None]:
    """Turn a lack of memory in training or evaluation into a `TrainingError` that says what to change."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        train, workers = settings.train, settings.resources.workers
        raise TrainingError(
            f"out of memory on {device.type} with model {model} and batch size {train.batch_size}, on {workers} "
            f"worker(s) in {train.accumulate} part(s) each: raise train.accumulate, set train.gradient_checkpointing "
            "to true, or lower train.batch_size"
        ) from None
