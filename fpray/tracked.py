"""What is tracked of a trial and of a sweep: parameters, tags, and the points of the metrics' curves."""

from __future__ import annotations

from typing import NamedTuple

from fpray.config import Sweep
from fpray.records import Epoch, Record, accuracies
from fpray.report import Report


class Point(NamedTuple):
    """A point of a metric's curve. `time` is Unix time in milliseconds, `step` counts epochs.

    The time is the record's own, so that the point is the same whenever it is logged.
    """

    key: str
    value: float
    time: int
    step: int


def params(record: Record, sweep: Sweep) -> dict[str, str]:
    """A trial's parameters."""
    trial = record.trial
    values: dict[str, object] = {"method": trial.method, "seed": trial.seed} | trial.params
    if sweep.model.compared and trial.model is not None:
        values["model"] = trial.model.short
    return {key: str(value) for key, value in values.items()}


def model_tags(record: Record, sweep: Sweep) -> dict[str, str]:
    """Which model a trial started from, where the sweep has several."""
    model = record.trial.model
    if model is None or not sweep.model.compared:
        return {}
    return {"fpray.model": model.name, "fpray.pretrained": model.pretrained or ""}


def epoch_points(epoch: Epoch) -> list[Point]:
    """An epoch's metrics; `epoch` comes last: where it is, the others are."""
    values = accuracies(epoch.validation) | {f"loss/{name}": loss for name, loss in epoch.losses.items()}
    values |= {"lr": epoch.lr, "images_per_second": epoch.images / epoch.seconds, "epoch": epoch.epoch}
    return [Point(key, value, milliseconds(epoch.ended), epoch.epoch) for key, value in values.items()]


def final_points(record: Record) -> list[Point]:
    """What only a trial's end gives; the final validation is that of the last epoch, if there was one."""
    values = record.metrics()
    if record.history:
        values = {key: value for key, value in values.items() if key not in accuracies(record.history[-1].validation)}
    if record.movement is not None:
        values |= {"distance": record.movement.distance, "relative_distance": record.movement.relative_distance}
        values |= {f"cka/{split}": value for split, value in record.movement.cka.items()}
    if record.cost is not None:
        values |= {"seconds": record.cost.seconds}
    return [Point(key, value, end_of(record), len(record.history)) for key, value in values.items()]


def report_values(report: Report) -> dict[str, float]:
    """A sweep's metrics."""
    values = {}
    for method in report.methods:
        values[f"hypervolume/{method.name}"] = method.hypervolume
        if method.id_val is not None and method.ood_val is not None:
            values[f"best_id/{method.name}"] = method.id_val.test.id
            values[f"best_ood/{method.name}"] = method.ood_val.test.ood
    return values


def end_of(record: Record) -> int:
    """When a trial ended, in milliseconds of Unix time."""
    return milliseconds(record.ended or record.started)


def milliseconds(seconds: float) -> int:
    return int(1000 * seconds)
