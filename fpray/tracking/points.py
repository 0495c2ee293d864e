"""The content of a run in MLflow: its tags and parameters, and the points of its metrics' curves."""

from __future__ import annotations

import json
from typing import NamedTuple

from upath import UPath

from fpray.config import Sweep
from fpray.records import Epoch, Record, accuracies
from fpray.redaction import hidden
from fpray.report import Report
from fpray.tracking.names import Names

SWEEP_TAG, TRIAL_TAG, ERROR_TAG = "fpray.sweep", "fpray.trial", "fpray.error"
"""A run's tags: the sweep's identity, the trial's id (the parent run has none), and why the trial failed."""
FOLDER_TAG, NAMES_TAG, FILE_TAG = "fpray.folder", "fpray.names", "fpray.sweep_file"
"""A run's tag that says where its folder is; the parent's that say which `Names` its runs have, and the digest of the
sweep file that was uploaded last."""
WEIGHTS_TAG, CONFIGURATION_TAG = "fpray.weights", "fpray.configuration"
"""A trial's tags: the file of its weights, and all that it was run by, in JSON."""
MODEL_TAG, PRETRAINED_TAG = "fpray.model", "fpray.pretrained"
PARENT_TAG = "mlflow.parentRunId"
"""MLflow's own: the run under which its pages show another."""
EPOCH = "epoch"
"""The metric whose value is the number of the last epoch logged."""


class MetricPoint(NamedTuple):
    """A point of a metric's curve. `time` is Unix time in milliseconds, `step` counts epochs.

    The time is the record's own, so that the point is the same whenever it is logged.
    """

    key: str
    value: float
    time: int
    step: int


def params(record: Record, sweep: Sweep, names: Names) -> dict[str, str]:
    """A trial's parameters: method and seed, its hyperparameters and what they imply; the draw of the data and the
    model where there are several."""
    trial = record.trial
    values: dict[str, object] = {"method": trial.method, "seed": trial.seed}
    values |= {names.param(trial.method, name): value for name, value in (trial.params | record.implied).items()}
    if len(sweep.data.seeds) > 1:
        values["draw"] = trial.draw
    if trial.sources:
        values["source"] = ", ".join(trial.sources)
    if sweep.model.compared and trial.model is not None:
        values["model"] = trial.model.short
    return {key: str(value) for key, value in values.items()}


def tags(record: Record, sweep: Sweep, folder: UPath) -> dict[str, str]:
    """A trial's tags: its folder and weights, all that it was run by, the model where models are compared, and the end
    of its error, if it failed."""
    own = folder / "trials" / record.trial.id
    values = {FOLDER_TAG: hidden(str(own)), CONFIGURATION_TAG: _configuration(record, sweep)}
    if record.status == "finished":
        values[WEIGHTS_TAG] = hidden(str(own / "weights.safetensors"))
    if sweep.model.compared and (model := record.trial.model) is not None:
        values |= {MODEL_TAG: model.name, PRETRAINED_TAG: model.pretrained or ""}
    if record.status == "failed" and record.error:
        values[ERROR_TAG] = record.error[-5000:]
    return values


def _configuration(record: Record, sweep: Sweep) -> str:
    settings = sweep.trial_settings(record.trial.method).model_dump(mode="json", include={"train", "resources"})
    return json.dumps({"trial": record.trial.model_dump(mode="json"), **settings, "layout": sweep.data.layout})


def epoch_points(epoch: Epoch, names: Names) -> list[MetricPoint]:
    """An epoch's metrics. `EPOCH` is the last, so that a server that has it has the others too."""
    values = {names.accuracy(key): value for key, value in accuracies(epoch.validation).items()}
    values |= {f"loss/{name}": loss for name, loss in epoch.losses.items()}
    values |= {"lr": epoch.lr, "images_per_second": epoch.images / epoch.seconds, EPOCH: epoch.epoch}
    return [MetricPoint(key, value, milliseconds(epoch.ended), epoch.epoch) for key, value in values.items()]


def final_points(record: Record, names: Names) -> list[MetricPoint]:
    """The metrics that only a trial's end gives; its validation is left out where the last epoch has given it."""
    values = record.metrics()
    if record.history:
        values = {key: value for key, value in values.items() if key not in accuracies(record.history[-1].validation)}
    values = {names.accuracy(key): value for key, value in values.items()}
    if record.movement is not None:
        values |= {"distance": record.movement.distance, "relative_distance": record.movement.relative_distance}
        values |= {f"cka/{split}": value for split, value in record.movement.cka.items()}
    if record.cost is not None:
        values |= {"seconds": record.cost.seconds}
    return [MetricPoint(key, value, end_of(record), len(record.history)) for key, value in values.items()]


def report_values(report: Report) -> dict[str, float]:
    """A sweep's metrics: both test accuracies, in per cent, of each method's picks by validation, and its
    hypervolume at equal trainings. Without a reference point in the sweep file that is the results' own so far."""
    values = {}
    for method in report.methods:
        for rule, picked in method.picks.items():
            named = rule.replace("=", ":")  # MLflow takes no = in a name
            values[f"{method.name}/{named}/test/id"] = picked.test.id
            values[f"{method.name}/{named}/test/ood"] = picked.test.ood
        if method.picks:
            values[f"{method.name}/hypervolume"] = method.hypervolume
    return values


def end_of(record: Record) -> int:
    """The end of a trial, in milliseconds of Unix time."""
    return milliseconds(record.ended or record.started)


def milliseconds(seconds: float) -> int:
    return int(1000 * seconds)
