"""The plan of a sweep: what it will run, before anything is started."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import torch

from fpray.config import Resources, Sweep
from fpray.data import open_dataset
from fpray.errors import UserError, message_of
from fpray.methods import METHODS, TrainedMethod
from fpray.redaction import hidden
from fpray.search import Schedule, studies
from fpray.sweep.reading import folder_of

if TYPE_CHECKING:
    from fpray.execution import Room


def plan(sweep: Sweep) -> str:
    """The trials of each study, what each needs, and how many images the sweep will train on and evaluate."""
    dataset = open_dataset(sweep.data)
    sizes = {split: len(dataset.images(split)) for split in dataset.splits()}
    train = sum(size for split, size in sizes.items() if split.part == "train")
    validation = sum(size for split, size in sizes.items() if split.part == "val")
    evaluated = sum(sizes.values()) - train
    trials = {study.name: study.trials for study in studies(sweep)}
    training = [study for study in studies(sweep) if issubclass(METHODS[study.method], TrainedMethod)]
    trained, epochs = sum(study.trials for study in training), [study.epochs(sweep.train.epochs) for study in training]
    passes = sum(study.trials * sum(own) / 2 for study, own in zip(training, epochs, strict=True))
    lines = [f"{sum(trials.values())} trials: " + ", ".join(f"{study} {count}" for study, count in trials.items())]
    draws, seeds = len(sweep.data.seeds), len(sweep.train.seeds)
    if draws * seeds > 1:
        on_draws = f" on {draws} draws of the data" if draws > 1 else ""
        lines.append(f"each configuration{on_draws}" + (f" with {seeds} seeds" if seeds > 1 else ""))
    looks = sweep.train.validations - 1  # the last one is part of the evaluation of every split
    spread = sorted({number for own in epochs for number in own})
    numbers = " to ".join(map(str, dict.fromkeys([*spread[:1], *spread[-1:]])))
    each = f"{trained} trials, {numbers} epochs of {train:,}"
    lines.append(f"a trial takes {sweep.resources}")
    lines += [
        f"of {name}: {sweep.resources_of(name)}" for name, settings in sweep.methods.items() if settings.resources
    ]
    lines += [
        f"about {passes * train:,.0f} images trained on ({each})",
        f"about {trained * looks * validation + sum(trials.values()) * evaluated:,} images evaluated",
    ]
    return "\n".join(lines)


def room_here() -> Room:
    """The room on this machine."""
    from fpray.execution import Node, Room  # late: Ray takes seconds

    return Room((Node("this machine", os.cpu_count() or 1, torch.cuda.device_count()),))


def require_room_here(sweep: Sweep) -> None:
    """See that this machine has room for a trial of every method.

    Raises:
        UserError: if it hasn't, with the nearest request for which it has.
    """
    here = room_here()
    for method, settings in sweep.methods.items():
        key = f"methods.{method}.resources" if settings.resources else "resources"
        here.require(sweep.resources_of(method), key)


def schedule_of(sweep: Sweep) -> Schedule:
    """The schedule of what is left of a sweep, by the records in its folder.

    Raises:
        UserError: if the storage can't be read.
    """
    try:
        records = folder_of(sweep).records.read_all()
    except (OSError, ValueError, ImportError) as error:  # the last two: of an address that fsspec doesn't know
        raise UserError(f"storage: can't read '{hidden(sweep.storage)}': {message_of(error)}") from None
    return Schedule(sweep, records)


def trials_line(schedule: Schedule) -> str:
    """The trials of a sweep and, where some are recorded, how far it is."""
    records = schedule.wanted()
    done, begun = sum(r.has_ended for r in records), sum(not r.has_ended for r in records)
    if not records:
        return f"{schedule.planned} trials: " + ", ".join(f"{study.name} {study.trials}" for study in schedule.studies)
    if schedule.complete:
        return f"all {schedule.planned} trials are done"
    return f"resuming: {done} of {schedule.planned} trials done" + (f", {begun} begun" if begun else "")


def devices_line(sweep: Sweep, room: Room) -> str:
    """What a cluster has, and how many trials it runs at a time."""
    cpus, gpus = sum(node.cpus for node in room.nodes), sum(node.gpus for node in room.nodes)
    kinds = sorted({kind for node in room.nodes for kind in node.accelerators})
    of_kinds = f" ({', '.join(kinds)})" if kinds else ""
    nodes = "1 node" if len(room.nodes) == 1 else f"{len(room.nodes)} nodes"
    most = room.at_once(sweep.resources, sum(study.trials for study in studies(sweep)))
    return f"{nodes}, {cpus:g} CPU(s), {gpus} GPU(s){of_kinds}: room for {most} trial(s) at a time"


def idle_line(sweep: Sweep, room: Room) -> str | None:
    """A line for a cluster that has room for more trials than `search.lag` lets run at a time; else None."""
    lag, begun, held_back = sweep.search.lag, list[Resources](), list[Resources]()
    for study in studies(sweep):
        if not study.settings.sources():
            needs = sweep.resources_of(study.method)
            begun += [needs] * min(study.configurations, lag + 1) * len(study.repeats)
            held_back += [needs] if study.configurations > lag + 1 else []
    if not any(room.holds([*begun, needs]) for needs in held_back):
        return None
    return (
        f"search.lag {lag} lets {len(begun)} trials run at a time; the cluster has room for more: raise it to use that"
    )
