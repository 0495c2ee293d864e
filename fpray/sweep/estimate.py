"""How long a sweep will take on this machine, from a few measured steps of each method."""

from __future__ import annotations

from statistics import fmean
from typing import Any, cast

import torch

from fpray.config import Sweep
from fpray.data import open_dataset
from fpray.methods import METHODS, TrainedMethod
from fpray.records import Record
from fpray.search import Schedule, Study
from fpray.sweep.plan import room_here
from fpray.sweep.words import duration
from fpray.training import Speed, costliest, measured_speed, reference_of


def estimate_line(schedule: Schedule) -> str:
    """The time that the trials which are left will take, if they run on this machine."""
    sweep = schedule.sweep
    seconds = sum(_left(study, schedule.records_of(study)) * _lasts(study, sweep) for study in schedule.studies)
    at_once = room_here().at_once(sweep.resources, schedule.planned)
    return (
        f"about {duration(seconds / max(1, at_once))} on this machine, {at_once} trial(s) at a time, by a few measured "
        "steps of each method"
    )


def _left(study: Study, records: list[Record]) -> int:
    return study.trials - sum(record.has_ended for record in records)


def _lasts(study: Study, sweep: Sweep) -> float:
    """The seconds of one trial: its epochs, its curve, and one evaluation of every split, of which the last validation
    is a part."""
    sizes = _sizes(sweep)
    validation = sum(size for split, size in sizes.items() if split.endswith("/val"))
    evaluated = sum(size for split, size in sizes.items() if not split.endswith("/train"))
    speed, epochs = _speed(study, sweep), fmean(study.epochs(sweep.train.epochs))
    if not issubclass(METHODS[study.method], TrainedMethod):
        return evaluated * speed.evaluation
    between = max(0, sweep.train.alphas - 2)  # of its curve's points the ends are known
    looks = (sweep.train.validations - 1 + between) * validation + evaluated
    return epochs * sizes["id/train"] * speed.training + looks * speed.evaluation


def _speed(study: Study, sweep: Sweep) -> Speed:
    """The speed of the study's method on its (first) model; what trains nothing is evaluated like full fine-tuning."""
    needs = sweep.resources_of(study.method)
    torch.set_num_threads(max(1, int(needs.cpus)))
    device = torch.device("cuda" if needs.gpus else "cpu")
    reference = reference_of(study.models[0], sweep.trial_settings(study.method), device)
    kind = METHODS[study.method]
    if issubclass(kind, TrainedMethod):
        method: TrainedMethod[Any] = kind.make(next(costliest(study.settings.space())), reference)
    else:
        method = cast(TrainedMethod[Any], METHODS["full"].make({"lr": 1e-5}, reference))
    return measured_speed(method, sweep.train, needs.loaders)


def _sizes(sweep: Sweep) -> dict[str, int]:
    dataset = open_dataset(sweep.data)
    return {split.name: len(dataset.images(split)) for split in dataset.splits()}
