"""A small sweep that is tracked, and a look at what MLflow has of it."""

from __future__ import annotations

from mlflow import MlflowClient
from mlflow.entities import Metric, Run
from upath import UPath

from fpray.config.file import check_sweep
from fpray.config.schema import Sweep
from fpray.records.record import Count, Epoch, Record
from fpray.report.report import make_report
from fpray.tracking.tracker import Tracker

SWEEP = check_sweep(
    {"name": "tracked", "methods": {"full": {"trials": 2}}, "search": {"reference_point": [10, 20]}}, "s"
)
RESULTS = {f"{d}/{p}": Count(correct=6, total=10) for d in ("id", "ood/a", "ood/b") for p in ("val", "test")}


def epochs(count: int) -> tuple[Epoch, ...]:
    validation = {"id/val": Count(correct=5, total=10), "ood/a/val": Count(correct=4, total=10)}
    return tuple(
        Epoch(
            epoch=n, step=n, lr=0.1, losses={"cross_entropy": 1.0 / n}, validation=validation, images=10, seconds=1.0,
            validation_seconds=0.5,
            ended=1.7e9 + n,
        )
        for n in range(1, count + 1)
    )  # fmt: skip


def runs(uri: str) -> dict[str, Run]:
    """The runs in the experiment of `SWEEP`, by name, of which each is there once."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("tracked")
    if experiment is None:
        return {}
    found = client.search_runs([experiment.experiment_id])
    assert len({run.info.run_name for run in found}) == len(found), "a trial has two runs"
    return {run.info.run_name: run for run in found}


def history(uri: str, name: str, key: str) -> list[Metric]:
    """A metric's points, in order."""
    found = MlflowClient(uri).get_metric_history(runs(uri)[name].info.run_id, key)
    return sorted(found, key=lambda m: (m.step, m.timestamp))


def steps(uri: str, name: str, key: str) -> list[int]:
    """The steps of a metric's points, in order."""
    return [metric.step for metric in history(uri, name, key)]


def tracker_of(storage: UPath, uri: str, sweep: Sweep = SWEEP) -> Tracker:
    """A tracker of a sweep in a storage folder, whose identity is its folder's address, as it once was."""
    return Tracker(sweep, storage / SWEEP.name, str(storage / SWEEP.name), uri)


def follow(storage: UPath, uri: str, records: list[Record], sweep: Sweep = SWEEP) -> str | None:
    """Track a sweep as one call of the command does: update its tracker with the records, and close it with a report.

    Returns:
        What went wrong, or None.
    """
    storage.mkdir(parents=True, exist_ok=True)
    tracker = tracker_of(storage, uri, sweep)
    for record in records:
        tracker.update(record)
    figure = storage / "fronts.png"
    figure.write_bytes(b"a figure")
    return tracker.close(make_report(sweep, records), [figure])
