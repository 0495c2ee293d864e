"""The training loop: the same for every method, and for one worker or many."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from fpray.config import Train
from fpray.data import Batch, Draws, EpochBatches, Split, loader
from fpray.methods import TrainedMethod
from fpray.records import Count, Epoch
from fpray.seeds import epoch_seed
from fpray.training.checkpoint import Checkpoint
from fpray.training.evaluate import predict
from fpray.training.optimizer import lr_factor
from fpray.training.runtime import Runtime
from fpray.training.step import Stepper


class TrainingError(RuntimeError):
    """A trial can't go on, and would not on another try either."""


class StoppedError(Exception):
    """The sweep is to be interrupted: the trial has stopped after an epoch, and goes on from its checkpoint later."""


def train(
    method: TrainedMethod[Any],
    settings: Train,
    seed: int,
    splits: Sequence[Split],
    runtime: Runtime,
    checkpoint: Checkpoint | None,
    keep: Callable[[Checkpoint], None],
) -> tuple[Epoch, ...]:
    """Train a method in place, from a checkpoint on if there is one.

    Args:
        splits: the dataset's; `id/train` is trained on, the validation splits are evaluated after each epoch.
        keep: called by the main worker with the checkpoint of each epoch.

    Returns:
        What each epoch gave, those before the checkpoint included.

    Raises:
        TrainingError: if the loss or a weight is no longer finite.
        StoppedError: if the runtime says so before an epoch.
    """
    data = method.training_data(next(s for s in splits if s.part == "train"))
    validation = [s for s in splits if s.part == "val"]
    batches = EpochBatches(len(data), int(settings.batch_size), seed, runtime.rank, runtime.world_size)
    batched = loader(Draws(data, seed), method.reference.loader_workers, runtime.device, batch_sampler=batches)
    stepper = Stepper(method, settings, runtime)
    history = () if checkpoint is None else checkpoint.history
    if checkpoint is not None:
        checkpoint.restore(method, stepper.optimizer)
    for epoch in range(len(history), settings.epochs):
        if runtime.must_stop():
            raise StoppedError
        started = time.monotonic()
        # Seeded anew each epoch: then an interrupted trial draws the same numbers (dropout).
        torch.manual_seed(epoch_seed(seed, epoch, runtime.rank))
        batches.epoch = epoch
        method.train()
        losses = _train_epoch(stepper, batched, epoch, runtime)
        _check_finite(losses, stepper.trained, epoch)
        runtime.share_buffers(method)
        trained_at = time.monotonic()
        counts = _validate(method, validation, runtime, settings)
        history += (
            Epoch(
                epoch=epoch + 1,
                step=(epoch + 1) * len(batches),
                lr=stepper.optimizer.param_groups[0]["lr"],
                losses=losses,
                validation=counts,
                images=len(batches) * batches.batch_size,
                seconds=trained_at - started,
                validation_seconds=time.monotonic() - trained_at,
                ended=time.time(),
            ),
        )
        if runtime.is_main:
            keep(Checkpoint.of(method, stepper.optimizer, history))
        runtime.wait_for_all()
    return history


def _train_epoch(stepper: Stepper, batched: DataLoader[Batch], epoch: int, runtime: Runtime) -> dict[str, float]:
    """One epoch of steps; the mean of each loss."""
    sums: dict[str, Tensor] = {}
    total = stepper.settings.epochs * len(batched)
    for step, batch in enumerate(batched, start=epoch * len(batched)):
        runtime.beat()
        for name, loss in stepper.step(batch, lr_factor(step, total, stepper.settings)).items():
            sums[name] = sums.get(name, 0) + loss
    return {name: float(runtime.mean(value)) / len(batched) for name, value in sums.items()}


def _check_finite(losses: Mapping[str, float], weights: Iterable[Tensor], epoch: int) -> None:
    if not all(math.isfinite(value) for value in losses.values()):
        raise TrainingError(f"the loss is not finite in epoch {epoch + 1}: {losses}; try a lower learning rate")
    if not all(bool(weight.isfinite().all()) for weight in weights):  # the last step is in no loss
        raise TrainingError(f"a weight is not finite after epoch {epoch + 1}; try a lower learning rate")


def _validate(
    method: TrainedMethod[Any], splits: Sequence[Split], runtime: Runtime, settings: Train
) -> dict[str, Count]:
    return {s.name: predict(method.classifier, method.reference, s, runtime, settings.autocast).count for s in splits}
