"""The second stream: what a method replays beside the training images, in batches and an order of its own.

Its order follows from the trial's seed and the steps' numbers, so it goes on where a training was interrupted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch.utils.data import default_collate

from fpray.data import Batch, Draws, EpochBatches, Items, Rounds, loader
from fpray.methods import TrainedMethod
from fpray.seeds import replay_seed
from fpray.training.runtime import Runtime


@dataclass(frozen=True)
class Replay:
    """The items that a method replays, and how many of them a step has, over all workers."""

    items: Items
    batch_size: int


def replay_of(method: TrainedMethod[Any], batch_size: int) -> Replay | None:
    """What a method replays; None if it is nothing.

    Args:
        batch_size: the training images in a step, over all workers.
    """
    items, options = method.replayed_data(), method.reference.dataset.options.rehearsal
    if items is None:
        return None
    return Replay(items, (options.batch_size if options else None) or batch_size)


def with_replayed(
    stream: Iterator[Batch],
    method: TrainedMethod[Any],
    seed: int,
    runtime: Runtime,
    batches: EpochBatches,
    epochs: int,
) -> Iterator[Batch]:
    """A training's batches, each with a batch of what the method replays; as they are, if it replays nothing.

    Args:
        stream: the batches, from the first epoch of `batches` on.
        epochs: the number of the training's epochs in all.
    """
    replay = replay_of(method, batches.batch_size)
    if replay is None:
        return stream
    seed, reference, items = replay_seed(seed), method.reference, replay.items
    numbers = range(batches.epochs.start * batches.steps, epochs * batches.steps)
    rounds = Rounds(len(items), replay.batch_size, seed, runtime.rank, runtime.world_size, numbers)
    items.keep(reference.kept_bytes, rounds.rounds, seed)
    replayed = loader(Draws(items, seed), reference.loader_workers, runtime.device, batch_sampler=rounds)
    return ({**own, **_without_draws(other)} for own, other in zip(stream, replayed, strict=True))


def replayed_sample(method: TrainedMethod[Any], size: int) -> Batch:
    """What one worker's step with `size` training images replays, to try and to time steps with: one item, as often
    as it takes; empty if nothing is replayed."""
    replay = replay_of(method, size)
    if replay is None:
        return {}
    sample: Batch = default_collate([Draws(replay.items, seed=0)[0, 0]] * replay.batch_size)
    return _without_draws(sample)


def _without_draws(batch: Batch) -> Batch:
    """A batch without its places among the draws, which a batch of training images has of its own."""
    return {name: value for name, value in batch.items() if name != "draws"}
