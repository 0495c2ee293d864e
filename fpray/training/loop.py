"""The training loop: the same for every method, and for one worker or many."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from fpray.config import Train
from fpray.data import Batch, Draws, EpochBatches, Split, loader
from fpray.methods import TrainedMethod
from fpray.records import Epoch
from fpray.seeds import epoch_seed
from fpray.training.checkpoint import Checkpoint
from fpray.training.evaluate import Evaluator, Predictions
from fpray.training.fixed import fixed_for
from fpray.training.replay import with_replayed
from fpray.training.runtime import Runtime
from fpray.training.step import Stepper


class TrainingError(RuntimeError):
    """A trial can't go on, and would not on another try either."""


class StoppedError(Exception):
    """The sweep is to be interrupted: the trial has stopped after an epoch, and goes on from its checkpoint later."""


@dataclass(frozen=True)
class Trained:
    """What each epoch of a training gave, and the predictions on the validation splits after the last one, by split;
    none where the training had come to its end before."""

    history: tuple[Epoch, ...]
    validation: Mapping[str, Predictions] = field(default_factory=dict)


def train(
    method: TrainedMethod[Any],
    settings: Train,
    seed: int,
    splits: Sequence[Split],
    runtime: Runtime,
    checkpoint: Checkpoint | None,
    save: Callable[[Checkpoint], None],
    tell: Callable[[tuple[Epoch, ...]], None] = lambda history: None,
) -> Trained:
    """Train a method in place, from a checkpoint on if there is one.

    Args:
        splits: the dataset's; `id/train` is trained on, the validation splits are evaluated after every
            `validate_every`th epoch and the last one.
        save: called by the main worker with a checkpoint, after an epoch that ends `checkpoint_seconds` or more after
            the last one, and before it stops.
        tell: called by the main worker after each epoch, with what all have given.

    Returns:
        What all epochs gave, those before the checkpoint included.

    Raises:
        TrainingError: if the loss or a weight is no longer finite.
        StoppedError: if the runtime says so before an epoch.
    """
    trained = Trained(() if checkpoint is None else checkpoint.history)
    epochs = range(len(trained.history), settings.epochs)
    draws, batches = _draws(method, settings, seed, splits, runtime, epochs)
    own = iter(loader(draws, method.reference.loader_workers, runtime.device, batch_sampler=batches))
    stream = with_replayed(own, method, seed, runtime, batches, settings.epochs)
    validation = Evaluator(method.reference, [s for s in splits if s.part == "val"], runtime, settings.autocast)
    fixed = fixed_for(method, draws, settings, runtime)
    stepper = Stepper(method, settings, runtime, settings.epochs * batches.steps, fixed)
    if checkpoint is not None:
        checkpoint.restore(method, stepper.optimizer)
    keeping = _Keeping(stepper, save, tell, len(trained.history))
    for epoch in epochs:
        if runtime.must_stop():
            keeping.before_stopping(trained.history)
            raise StoppedError
        started = time.monotonic()
        # Seeded anew each epoch: then an interrupted trial draws the same numbers (dropout).
        torch.manual_seed(epoch_seed(seed, epoch, runtime.rank))
        losses = _train_epoch(stepper, stream, batches.steps, epoch)
        trained_at = time.monotonic()
        predictions = validation.predict(method.current()) if settings.validates_after(epoch + 1) else {}
        done = Epoch(
            epoch=epoch + 1,
            step=(epoch + 1) * batches.steps,
            lr=stepper.optimizer.param_groups[0]["lr"],
            losses=losses,
            validation={split: own.count for split, own in predictions.items()},
            images=batches.steps * batches.batch_size,
            seconds=trained_at - started,
            validation_seconds=time.monotonic() - trained_at,
            ended=time.time(),
        )
        trained = Trained((*trained.history, done), predictions)
        keeping.after_epoch(trained.history)
        runtime.wait_for_all()
    return trained


def _draws(
    method: TrainedMethod[Any], settings: Train, seed: int, splits: Sequence[Split], runtime: Runtime, epochs: range
) -> tuple[Draws, EpochBatches]:
    """The draws of a training, and which of them are in this worker's batches."""
    data = method.training_data(next(s for s in splits if s.part == "train"))
    data.keep(method.reference.kept_bytes, settings.epochs, seed)
    batches = EpochBatches(len(data), int(settings.batch_size), seed, runtime.rank, runtime.world_size, epochs)
    return Draws(data, seed, settings.epochs), batches


class _Keeping:
    """What the main worker keeps of a training: a checkpoint after an epoch that ends `checkpoint_seconds` after the
    last one, and at a stop; what each epoch gave. The others keep nothing."""

    def __init__(
        self,
        stepper: Stepper,
        save: Callable[[Checkpoint], None],
        tell: Callable[[tuple[Epoch, ...]], None],
        epochs: int,
    ) -> None:
        self._stepper, self._save, self._tell = stepper, save, tell
        self._epochs, self._at = epochs, time.monotonic()

    def after_epoch(self, history: tuple[Epoch, ...]) -> None:
        if time.monotonic() - self._at >= self._stepper.settings.checkpoint_seconds:
            self.before_stopping(history)
            self._at = time.monotonic()
        if self._stepper.runtime.is_main:
            self._tell(history)

    def before_stopping(self, history: tuple[Epoch, ...]) -> None:
        if self._stepper.runtime.is_main and len(history) > self._epochs:
            self._save(Checkpoint.of(self._stepper.method, self._stepper.optimizer, history))
            self._epochs = len(history)


def _train_epoch(stepper: Stepper, stream: Iterator[Batch], steps: int, epoch: int) -> dict[str, float]:
    """One epoch of steps; the mean of each loss.

    Raises:
        TrainingError: if a loss or a weight is no longer finite.
    """
    runtime, sums = stepper.runtime, dict[str, Tensor]()
    stepper.method.train()
    for step, batch in enumerate(islice(stream, steps), start=epoch * steps):
        runtime.beat()
        for name, loss in stepper.step(batch, stepper.lr_factors[step]).items():
            sums[name] = sums.get(name, 0) + loss
    losses = {name: float(runtime.mean(value)) / steps for name, value in sums.items()}
    _check_finite(losses, stepper.trained, epoch)
    runtime.share_buffers(stepper.method)
    return losses


def _check_finite(losses: Mapping[str, float], weights: Iterable[Tensor], epoch: int) -> None:
    if not all(math.isfinite(value) for value in losses.values()):
        raise TrainingError(f"the loss is not finite in epoch {epoch + 1}: {losses}; try a lower learning rate")
    if not all(bool(weight.isfinite().all()) for weight in weights):  # the last step is in no loss
        raise TrainingError(f"a weight is not finite after epoch {epoch + 1}; try a lower learning rate")
