"""The plan of a sweep: what it will run, before anything is started."""

from __future__ import annotations

from fpray.config import Sweep
from fpray.data import DATASETS
from fpray.lanes import lanes
from fpray.methods import METHODS, TrainedMethod


def plan(sweep: Sweep) -> str:
    """The trials of each lane, what each needs, and how many images the sweep will train on and evaluate."""
    dataset = DATASETS[sweep.data.layout](sweep.data)
    sizes = {split: len(dataset.images(split)) for split in dataset.splits()}
    train = sum(size for split, size in sizes.items() if split.part == "train")
    validation = sum(size for split, size in sizes.items() if split.part == "val")
    evaluated = sum(sizes.values()) - train
    seeds = len(sweep.train.seeds)
    trials = {lane.name: lane.trials * seeds for lane in lanes(sweep)}
    trained = sum(trials[lane.name] for lane in lanes(sweep) if issubclass(METHODS[lane.method], TrainedMethod))
    resources = sweep.resources
    lines = [f"{sum(trials.values())} trials: " + ", ".join(f"{lane} {count}" for lane, count in trials.items())]
    if seeds > 1:
        lines.append(f"each configuration with {seeds} seeds")
    epochs = f"{trained} trials, {sweep.train.epochs} epochs of {train:,}"
    lines += [
        f"a trial takes {resources.workers} worker(s) with {resources.cpus:g} CPU(s) and {resources.gpus:g} GPU(s)",
        f"about {trained * sweep.train.epochs * train:,} images trained on ({epochs})",
        f"about {trained * sweep.train.epochs * validation + sum(trials.values()) * evaluated:,} images evaluated",
    ]
    return "\n".join(lines)
