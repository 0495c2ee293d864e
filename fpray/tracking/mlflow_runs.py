"""A sweep's runs in MLflow: a parent for the sweep, a child for each trial. The only module that knows MLflow.

What the server has is read once. Then only what is missing is written, so the same record may be logged any number of
times. When a call has failed, how much of it came through is unknown: make new `Runs`, which read again.
"""

from __future__ import annotations

import logging
import os
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from upath import UPath

from fpray.config import Sweep
from fpray.records import Record
from fpray.report import Report
from fpray.tracking import points
from fpray.tracking.database import prepare_database
from fpray.tracking.experiment import artifacts_beside, found_or_made
from fpray.tracking.names import EarlierNames, Names
from fpray.tracking.parent import NOTE_TAG, log_file, log_parent, log_training_data
from fpray.tracking.rejected import RejectedError
from fpray.tracking.seen import SeenRun
from fpray.tracking.view import VIEW_TAG, view

# MLflow would repeat a request whose answer was lost, and so create a run twice. `Runs` reads first what came through.
os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
# In seconds: long enough for a slow server. With MLflow's default, one that hangs would block for two minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
# No model is read from MLflow, so no pickle either.
os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
# MLflow would print the address of each run, which may hold a password, and ask the server for the run first.
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
logging.getLogger("mlflow").setLevel(logging.CRITICAL)
logging.getLogger("alembic").setLevel(logging.ERROR)

_REJECTIONS = {
    "INVALID_PARAMETER_VALUE",
    "BAD_REQUEST",
    "MALFORMED_REQUEST",
    "RESOURCE_ALREADY_EXISTS",
    "INVALID_STATE_TRANSITION",
}
"""The error codes of a request that is wrong itself. All others are about the server, the network or the user's rights,
and may pass."""
_PAGE = 250
"""Runs asked for in one request: few enough for a slow server to answer in time."""


class Runs:
    """The runs of a sweep on a server, which are read when the object is made."""

    def __init__(self, sweep: Sweep, folder: UPath, identity: str, uri: str, on_write: Callable[[], None]) -> None:
        """
        Args:
            folder: the sweep's, in the storage folder.
            identity: the sweep's id; as a tag it marks the sweep's runs.
            uri: the server's address, with a password if it wants one.
            on_write: called after each write that the server has taken.
        """
        self._sweep, self._folder, self._identity, self._on_write = sweep, folder, identity, on_write
        artifacts = artifacts_beside(uri, folder.parent)
        prepare_database(uri, artifacts)
        self._client = MlflowClient(uri)
        self.experiment, shared = found_or_made(self._client, sweep, artifacts)
        self._read()
        self._names = EarlierNames() if self._parent.tags.get(points.NAMES_TAG) is None else Names()
        if shared != (wanted := view(self._names)):
            self._client.set_experiment_tag(self.experiment, VIEW_TAG, wanted)
        if self._names.version == Names.version:
            log_parent(self._client, self._parent, sweep, folder)
        if self._parent.status != "RUNNING":
            self._client.update_run(self._parent.id, status="RUNNING")
            self._parent.status = "RUNNING"

    @property
    def parent(self) -> str:
        """The id of the sweep's own run."""
        return self._parent.id

    def write_note(self, text: str) -> None:
        """Write the note of the sweep's own run and of its experiment."""
        if self._parent.tags.get(NOTE_TAG) != text:
            self._client.set_experiment_tag(self.experiment, NOTE_TAG, text)
            self._client.set_tag(self._parent.id, NOTE_TAG, text)
            self._parent.tags[NOTE_TAG] = text
            self._on_write()

    def log(self, record: Record) -> None:
        """Bring a trial's run up to its record.

        Each epoch is logged once, from the first attempt that reached it, and so are the final metrics.

        Raises:
            RejectedError: if MLflow refuses the record.
        """
        try:
            self._log(record)
        except RejectedError:
            self._read_trial(record.trial.id)
            if record.trial.id in self._trials:
                raise
            self._log(record)  # its run had been deleted in MLflow

    def log_report(self, report: Report) -> None:
        """Log a sweep's report as the parent's metrics; the same report again adds no point.

        Raises:
            RejectedError: if MLflow refuses the report.
        """
        self._read()  # requests that were given up may have been carried out since
        values, known = points.report_values(report), self._parent.metrics
        if all(known.get(key) == value for key, value in values.items()):
            return
        # A step is the number of ended trials. After trials were run again, the same number may have other values.
        step = sum(method.finished + method.failed for method in report.methods)
        if logged := known.keys() & values.keys():
            before = self._client.get_metric_history(self._parent.id, min(logged))
            step = max(step, 1 + max(metric.step for metric in before))
        time = self._parent.started
        with _rejections():
            self._client.log_batch(self._parent.id, metrics=[Metric(k, v, time, step) for k, v in values.items()])
        self._on_write()

    def log_file(self, file: UPath) -> None:
        """Upload a file as an artifact of the parent."""
        log_file(self._client, self._parent.id, file)
        self._on_write()

    def end(self, report: Report) -> None:
        """Mark the parent as ended: `FAILED` if a trial has failed, else `FINISHED`."""
        self._client.set_terminated(self._parent.id, "FAILED" if report.failed() else "FINISHED")
        self._on_write()

    def _log(self, record: Record) -> None:
        with _rejections():
            run = self._run_of(record) or self._create_trial(record)
            self._log_values(run, record)
            self._log_status(run, record)

    def _run_of(self, record: Record) -> SeenRun | None:
        """A trial's run. One with other parameters is of the same trial before it was tried anew, and is deleted."""
        run = self._trials.get(record.trial.id)
        if run is None:
            return None
        wanted = points.params(record, self._sweep, self._names)
        if all(run.params.get(key, value) == value for key, value in wanted.items()):
            return run
        self._client.delete_run(run.id)
        del self._trials[record.trial.id]
        return None

    def _read(self) -> None:
        """Read the sweep's runs from the server; create the parent if there is none."""
        found: defaultdict[str | None, list[SeenRun]] = defaultdict(list)
        for run in self._search():
            found[run.tags.get(points.TRIAL_TAG)].append(run)
        parents = found.pop(None, [])
        self._trials = {trial_id: self._only(runs) for trial_id, runs in found.items() if trial_id is not None}
        named = {run.tags.get(points.PARENT_TAG) for run in self._trials.values()}
        self._parent = self._only(parents, named) if parents else self._create_parent()

    def _read_trial(self, trial_id: str) -> None:
        self._trials.pop(trial_id, None)
        if runs := self._search(f" AND tags.`{points.TRIAL_TAG}` = '{trial_id}'"):
            self._trials[trial_id] = self._only(runs)

    def _search(self, further: str = "") -> list[SeenRun]:
        """The sweep's runs on the server that meet a further condition, given in the language of MLflow's filters."""
        # MLflow's filters have no escapes, and an id of earlier versions is a path, which may hold quotes.
        ending = re.split("['\"]", self._identity)[-1]
        where = f"tags.`{points.SWEEP_TAG}` LIKE '%{ending}'{further}"
        found: list[Run] = []
        token = None
        while True:
            page = self._client.search_runs([self.experiment], where, max_results=_PAGE, page_token=token)
            found += page
            token = page.token
            if not token:
                return [SeenRun.from_mlflow(run) for run in found if run.data.tags[points.SWEEP_TAG] == self._identity]

    def _only(self, runs: Sequence[SeenRun], parents: Collection[str | None] = ()) -> SeenRun:
        """Choose one of several runs of the same trial, or of several parents; delete the others that are empty.

        There are several where a request to create a run was given up, and carried out after another one.

        Args:
            parents: the ids that the trials' runs name as their parent.
        """

        def worth(run: SeenRun) -> tuple[bool, int]:
            return run.id in parents, len(run.metrics) + len(run.params)

        chosen = max(sorted(runs, key=lambda run: run.id), key=worth)
        for run in runs:
            if run is not chosen and worth(run) == (False, 0):
                self._client.delete_run(run.id)
        return chosen

    def _create_parent(self) -> SeenRun:
        return self._create(self._sweep.name, {points.NAMES_TAG: Names.version}, None)

    def _create_trial(self, record: Record) -> SeenRun:
        tags = {points.TRIAL_TAG: record.trial.id, points.PARENT_TAG: self._parent.id}
        run = self._create(record.trial.id, tags, points.milliseconds(record.started))
        self._trials[record.trial.id] = run
        return run

    def _create(self, name: str, tags: dict[str, str], started: int | None) -> SeenRun:
        tags = {**tags, points.SWEEP_TAG: self._identity, points.FOLDER_TAG: str(self._folder)}
        run = self._client.create_run(self.experiment, start_time=started, tags=tags, run_name=name)
        self._on_write()
        return SeenRun.from_mlflow(run)

    def _log_values(self, run: SeenRun, record: Record) -> None:
        """Log the parameters, tags and metrics that a trial's run does not have yet, in one call; first of all its
        data."""
        if not run.params and not record.trial.sources:
            log_training_data(self._client, run.id, self._sweep, self._folder, record.trial.draw)
        metrics = [
            p for epoch in record.history if epoch.epoch > run.epoch for p in points.epoch_points(epoch, self._names)
        ]
        if record.status == "finished":
            metrics += [point for point in points.final_points(record, self._names) if point.key not in run.metrics]
        wanted = points.params(record, self._sweep, self._names)
        params = {k: v for k, v in wanted.items() if k not in run.params}
        tags = {k: v for k, v in points.tags(record, self._sweep, self._folder).items() if run.tags.get(k) != v}
        if metrics or params or tags:
            self._client.log_batch(
                run.id,
                metrics=[Metric(*point) for point in metrics],
                params=[Param(*item) for item in params.items()],
                tags=[RunTag(*item) for item in tags.items()],
            )
            run.metrics |= {point.key: point.value for point in metrics}
            run.epoch = max([run.epoch, *(epoch.epoch for epoch in record.history)])
            run.params |= params
            run.tags |= tags
            self._on_write()
        if record.status != "failed" and points.ERROR_TAG in run.tags:
            self._client.delete_tag(run.id, points.ERROR_TAG)
            del run.tags[points.ERROR_TAG]
            self._on_write()

    def _log_status(self, run: SeenRun, record: Record) -> None:
        """Give a trial's run the status and the end of its record."""
        status, ended = record.status.upper(), points.end_of(record)
        if record.status == "running":
            if run.status == status:
                return
            self._client.update_run(run.id, status=status)
        else:
            if (run.status, run.ended) == (status, ended):
                return
            self._client.set_terminated(run.id, status, end_time=ended)
            run.ended = ended
        run.status = status
        self._on_write()


@contextmanager
def _rejections() -> Iterator[None]:
    """Raise MLflow's errors about a wrong request as `RejectedError`, and all others as they are."""
    try:
        yield
    except MlflowException as error:
        if error.error_code in _REJECTIONS:
            raise RejectedError(str(error)) from error
        raise
