"""Tracking: the sweep in MLflow. The only module that knows MLflow.

One parent run for the sweep, one child for each trial, made from the records: what a run already has is not logged
again, and what could not be logged is caught up later. Everything happens in a thread of its own, and nothing that
goes wrong there reaches the sweep.
"""

from __future__ import annotations

import logging
import queue
import shlex
import tempfile
import threading
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from upath import UPath

from fpray.config import Sweep
from fpray.records import Epoch, Record, Trial, accuracies
from fpray.report import Report
from fpray.storage import is_local

logging.getLogger("mlflow").setLevel(logging.ERROR)
logging.getLogger("alembic").setLevel(logging.ERROR)

_TRIAL, _SWEEP = "fpray.trial", "fpray.sweep"


def tracking_uri(sweep: Sweep, storage: UPath) -> str | None:
    """Where the sweep is tracked: as its file says, or in a sqlite file in a local storage folder; None for nowhere."""
    if sweep.tracking is None:
        return None
    return sweep.tracking.uri or f"sqlite:///{storage.path}/mlflow.db"


def open_command(uri: str) -> str:
    """The command that opens MLflow's UI on a tracking URI, or the UI's address."""
    return f"python -m mlflow ui --backend-store-uri {shlex.quote(uri)}" if uri.startswith("sqlite:") else uri


class Tracker:
    """Keeps the MLflow runs of a sweep like its records."""

    def __init__(self, sweep: Sweep, storage: UPath, folder: UPath, uri: str) -> None:
        self._sweep, self._storage, self._folder, self._uri = sweep, storage, folder, uri
        self._inbox: queue.SimpleQueue[Record | tuple[Report, list[UPath]]] = queue.SimpleQueue()
        self._left: dict[str, Record] = {}
        self._runs: dict[str, Run] = {}
        self._logged: dict[str, int] = {}
        self._ended: dict[str, int] = {}
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
        self._thread.start()

    def note(self, record: Record) -> None:
        """Take up a trial's record; it is logged when its turn comes."""
        self._inbox.put(record)

    def close(self, report: Report, files: list[UPath]) -> str | None:
        """Log the sweep's report with its files, and wait until everything is logged.

        Returns:
            What went wrong, in a sentence, or None.
        """
        self._inbox.put((report, files))
        self._thread.join()
        return self._problem

    def _work(self) -> None:
        self._problem: str | None = None
        while True:
            item = self._inbox.get()
            last = isinstance(item, tuple)
            if isinstance(item, Record):
                if not self._is_stale(item):
                    self._left[item.trial.id] = item
                if not self._inbox.empty():
                    continue  # more has come: log the newest record of each trial at once
            try:
                self._log_records()
                if isinstance(item, tuple):
                    self._log_report(*item)
                self._problem = None
            except Exception as error:
                self._problem = f"MLflow at {self._uri} is behind ({error}); the same command catches it up"
            if last:
                return

    def _is_stale(self, record: Record) -> bool:
        """Whether a record was read while its trial ran, and noted after the trial's end was."""
        known = self._ended.get(record.trial.id, -1)
        if record.status != "running":
            self._ended[record.trial.id] = record.attempt
        return record.status == "running" and known >= record.attempt

    def _log_records(self) -> None:
        if not self._runs:
            self._connect()
        for trial_id, record in list(self._left.items()):
            self._log_record(record)
            del self._left[trial_id]

    def _connect(self) -> None:
        self._client = MlflowClient(self._uri)
        name = (self._sweep.tracking.experiment if self._sweep.tracking else None) or self._sweep.name
        experiment = self._client.get_experiment_by_name(name)
        if experiment is not None:
            self._experiment = experiment.experiment_id
        else:
            artifacts = Path(self._storage.path, "mlartifacts").as_uri() if is_local(self._storage) else None
            own = self._uri.startswith("sqlite:")
            self._experiment = self._client.create_experiment(name, artifact_location=artifacts if own else None)
        runs = self._known_runs()
        self._runs = {run.data.tags[_TRIAL]: run for run in runs if _TRIAL in run.data.tags}
        parents = [run for run in runs if _TRIAL not in run.data.tags]
        tags = {_SWEEP: str(self._folder)}
        self._parent = (
            parents[0] if parents else self._client.create_run(self._experiment, run_name=self._sweep.name, tags=tags)
        )
        self._client.update_run(self._parent.info.run_id, status="RUNNING")

    def _known_runs(self) -> list[Run]:
        """This sweep's runs of earlier times."""
        found: list[Run] = []
        token = None
        while True:
            where = f"tags.`{_SWEEP}` = '{self._folder}'"
            page = self._client.search_runs([self._experiment], where, max_results=1000, page_token=token)
            found += page
            token = page.token
            if not token:
                return found

    def _log_record(self, record: Record) -> None:
        run = self._runs.get(record.trial.id) or self._create(record)
        run_id, known = run.info.run_id, self._logged.get(record.trial.id)
        if known is None:
            known = int(run.data.metrics.get("epoch", 0))
            self._describe(run, record.trial)
        metrics = [m for epoch in record.history[known:] for m in _epoch_metrics(epoch)]
        status = {"running": "RUNNING", "finished": "FINISHED", "failed": "FAILED"}[record.status]
        ends = record.status != "running" and run.info.status != status
        metrics += _final_metrics(record) if ends else []
        tags = [RunTag("fpray.error", record.error[-5000:])] if ends and record.error else []
        if metrics or tags:
            self._client.log_batch(run_id, metrics=metrics, tags=tags)
        if ends:
            self._client.set_terminated(run_id, status, end_time=_milliseconds(record.ended or record.started))
        self._logged[record.trial.id] = len(record.history)

    def _describe(self, run: Run, trial: Trial) -> None:
        """Log a trial's parameters and tags, those that its run does not have yet."""
        params: dict[str, object] = {"method": trial.method, "seed": trial.seed} | trial.params
        tags: dict[str, str] = {}
        if self._sweep.model.compared and trial.model is not None:
            params["model"] = trial.model.short
            tags = {"fpray.model": trial.model.name, "fpray.pretrained": trial.model.pretrained or ""}
        new_params = [Param(key, str(value)) for key, value in params.items() if key not in run.data.params]
        new_tags = [RunTag(key, value) for key, value in tags.items() if key not in run.data.tags]
        if new_params or new_tags:
            self._client.log_batch(run.info.run_id, params=new_params, tags=new_tags)

    def _create(self, record: Record) -> Run:
        trial = record.trial
        tags = {_TRIAL: trial.id, _SWEEP: str(self._folder), "mlflow.parentRunId": self._parent.info.run_id}
        run = self._client.create_run(
            self._experiment, start_time=_milliseconds(record.started), tags=tags, run_name=trial.id
        )
        self._runs[trial.id] = run
        return run

    def _log_report(self, report: Report, files: list[UPath]) -> None:
        run_id, values = self._parent.info.run_id, {}
        for method in report.methods:
            values[f"hypervolume/{method.name}"] = method.hypervolume
            if method.id_val is not None and method.ood_val is not None:
                values[f"best_id/{method.name}"] = method.id_val.test.id
                values[f"best_ood/{method.name}"] = method.ood_val.test.ood
        # The time is the parent's own and the step counts ended trials: the same report again is the same point.
        start, step = self._parent.info.start_time, sum(m.finished + m.failed for m in report.methods)
        self._client.log_batch(run_id, metrics=[Metric(key, value, start, step) for key, value in values.items()])
        with tempfile.TemporaryDirectory(prefix="fpray-report-") as folder:
            for file in files:
                Path(folder, file.name).write_bytes(file.read_bytes())
            self._client.log_artifacts(run_id, folder)
        self._client.set_terminated(run_id, "FAILED" if report.failed() else "FINISHED")


def _epoch_metrics(epoch: Epoch) -> list[Metric]:
    """An epoch's metrics; the time is the epoch's own, so that MLflow knows a repeated one for the same."""
    values = accuracies(epoch.validation) | {f"loss/{name}": loss for name, loss in epoch.losses.items()}
    values |= {"epoch": epoch.epoch, "lr": epoch.lr, "images_per_second": epoch.images / epoch.seconds}
    return [Metric(key, value, _milliseconds(epoch.ended), epoch.epoch) for key, value in values.items()]


def _final_metrics(record: Record) -> list[Metric]:
    values = record.metrics()
    if record.movement is not None:
        values |= {"distance": record.movement.distance, "relative_distance": record.movement.relative_distance}
        values |= {f"cka/{split}": value for split, value in record.movement.cka.items()}
    if record.cost is not None:
        values |= {"seconds": record.cost.seconds}
    step = len(record.history)
    return [Metric(key, value, _milliseconds(record.ended or record.started), step) for key, value in values.items()]


def _milliseconds(seconds: float) -> int:
    return int(1000 * seconds)
