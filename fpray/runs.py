"""A sweep's runs in MLflow: a parent for the sweep, a child for each trial. The only module that knows MLflow.

What the server has is read once. Then only what is missing is written, so the same record may be logged any number of
times. When a call has failed, nobody knows what came through: make `Runs` anew, which reads again.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from upath import UPath

from fpray.config import Sweep
from fpray.records import Record
from fpray.report import Report
from fpray.storage import is_local
from fpray.tracked import end_of, epoch_points, final_points, milliseconds, model_tags, params, report_values

# MLflow would send a request again whose answer was lost, and make a run twice. Here what came through is read first.
os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
# In seconds: a slow server is waited for, one that hangs not for the two minutes of MLflow's default.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
# No model is read from MLflow, so no pickle either.
os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
# It would print each run's address, the server's password in it, and ask for the run before.
os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
logging.getLogger("mlflow").setLevel(logging.CRITICAL)
logging.getLogger("alembic").setLevel(logging.ERROR)

_TRIAL, _SWEEP, _PARENT, _ERROR = "fpray.trial", "fpray.sweep", "mlflow.parentRunId", "fpray.error"
_STATUS = {"running": "RUNNING", "finished": "FINISHED", "failed": "FAILED"}
_REJECTIONS = {
    "INVALID_PARAMETER_VALUE",
    "BAD_REQUEST",
    "MALFORMED_REQUEST",
    "RESOURCE_ALREADY_EXISTS",
    "INVALID_STATE_TRANSITION",
}
"""The error codes by which a server says that the request itself is wrong; all others are its own, or the network's,
or about who asks."""
_PAGE = 250
"""Runs in an answer: few enough for a slow server to give one in time."""


class RejectedError(Exception):
    """MLflow doesn't take what was to be logged, and won't when it is asked again."""


@dataclass
class _Run:
    """What a run has, as read and as written since."""

    id: str
    status: str
    started: int
    ended: int | None
    epoch: int
    """The last one logged."""
    metrics: dict[str, float]
    params: set[str]
    tags: dict[str, str]

    @classmethod
    def of(cls, run: Run) -> _Run:
        info, data = run.info, run.data
        return cls(
            info.run_id,
            info.status,
            info.start_time,
            info.end_time,
            int(data.metrics.get("epoch", 0)),
            dict(data.metrics),
            set(data.params),
            dict(data.tags),
        )


def make_whole(uri: str) -> None:
    """Make MLflow's sqlite file if there is none, whole or not at all.

    MLflow builds it in dozens of steps; killed among them it leaves a file that it can't open any more.
    """
    path = Path(uri.removeprefix("sqlite:///"))
    if not uri.startswith("sqlite:///") or "?" in uri or path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):  # several sweeps may share it
        if not path.exists():
            beside = Path(f"{path}.part")
            beside.unlink(missing_ok=True)
            MlflowClient(f"sqlite:///{beside}").search_experiments(max_results=1)
            beside.replace(path)


class Runs:
    """The runs of a sweep on a server; made by reading them."""

    def __init__(self, sweep: Sweep, storage: UPath, folder: UPath, uri: str, written: Callable[[], None]) -> None:
        """
        Args:
            storage: where the artifacts go if MLflow is a file of the sweep's own.
            folder: the sweep's; its runs are those with this tag.
            uri: the server's address, with a password if it wants one.
            written: called after each thing that was written.
        """
        self._sweep, self._folder, self._written = sweep, str(folder), written
        make_whole(uri)
        self._client = MlflowClient(uri)
        self._experiment = self._experiment_id(storage, uri)
        self._read()
        if self._parent.status != "RUNNING":
            self._client.update_run(self._parent.id, status="RUNNING")
            self._parent.status = "RUNNING"

    def log(self, record: Record) -> None:
        """Make a trial's run like its record.

        An epoch is logged once, for the attempt that was first to get there, and so are the final metrics.

        Raises:
            RejectedError: if MLflow doesn't take it.
        """
        try:
            self._log(record)
        except RejectedError:
            self._read_trial(record.trial.id)
            if record.trial.id in self._trials:
                raise
            self._log(record)  # somebody had deleted its run

    def log_report(self, report: Report) -> None:
        """Log a sweep's report as the parent's metrics; the same report again is the same point.

        Raises:
            RejectedError: if MLflow doesn't take it.
        """
        self._read()  # also what was made by requests that had been given up
        values, known = report_values(report), self._parent.metrics
        if all(known.get(key) == value for key, value in values.items()):
            return
        # Steps count ended trials; when trials were run again, a report of as many may say something else.
        step = sum(method.finished + method.failed for method in report.methods)
        if told := known.keys() & values.keys():
            before = self._client.get_metric_history(self._parent.id, min(told))
            step = max(step, 1 + max(metric.step for metric in before))
        time = self._parent.started
        with _rejections():
            self._client.log_batch(self._parent.id, metrics=[Metric(k, v, time, step) for k, v in values.items()])
        self._written()

    def log_file(self, file: UPath) -> None:
        """Keep a file of the report with the parent."""
        with tempfile.TemporaryDirectory(prefix="fpray-report-") as folder:
            copy = Path(folder, file.name)
            copy.write_bytes(file.read_bytes())
            self._client.log_artifact(self._parent.id, str(copy))
        self._written()

    def end(self, report: Report) -> None:
        """The sweep has ended."""
        self._client.set_terminated(self._parent.id, "FAILED" if report.failed() else "FINISHED")
        self._written()

    def _log(self, record: Record) -> None:
        with _rejections():
            run = self._trials.get(record.trial.id) or self._create_trial(record)
            self._log_values(run, record)
            self._log_status(run, record)

    def _experiment_id(self, storage: UPath, uri: str) -> str:
        name = (self._sweep.tracking.experiment if self._sweep.tracking else None) or self._sweep.name
        experiment = self._client.get_experiment_by_name(name)
        if experiment is not None:
            return experiment.experiment_id
        own = uri.startswith("sqlite:") and is_local(storage)
        artifacts = Path(storage.path, "mlartifacts").as_uri() if own else None
        made = self._client.create_experiment(name, artifact_location=artifacts)
        self._written()
        return made

    def _read(self) -> None:
        """Learn what the server has of this sweep; make the parent if it has none."""
        found: defaultdict[str | None, list[_Run]] = defaultdict(list)
        for run in self._search():
            found[run.tags.get(_TRIAL)].append(run)
        parents = found.pop(None, [])
        self._trials = {trial_id: self._only(runs) for trial_id, runs in found.items() if trial_id is not None}
        named = {run.tags.get(_PARENT) for run in self._trials.values()}
        self._parent = self._only(parents, named) if parents else self._create(self._sweep.name, {}, None)

    def _read_trial(self, trial_id: str) -> None:
        self._trials.pop(trial_id, None)
        if runs := self._search(f" AND tags.`{_TRIAL}` = '{trial_id}'"):
            self._trials[trial_id] = self._only(runs)

    def _search(self, further: str = "") -> list[_Run]:
        # MLflow's filters know no escapes. In LIKE `_` stands for any one character.
        like = "LIKE" if "'" in self._folder else "="
        where = f"tags.`{_SWEEP}` {like} '{self._folder.replace(chr(39), '_')}'" + further
        found: list[Run] = []
        token = None
        while True:
            page = self._client.search_runs([self._experiment], where, max_results=_PAGE, page_token=token)
            found += page
            token = page.token
            if not token:
                return [_Run.of(run) for run in found if run.data.tags[_SWEEP] == self._folder]

    def _only(self, runs: list[_Run], named: Collection[str | None] = ()) -> _Run:
        """The one of a trial's (or parent's) runs that counts.

        A request to make a run that was given up may be carried out later, when there is another: it is empty, and is
        deleted.
        """
        chosen, *others = sorted(runs, key=lambda r: (r.id not in named, -len(r.metrics) - len(r.params), r.id))
        for run in others:
            if not run.metrics and not run.params and run.id not in named:
                self._client.delete_run(run.id)
        return chosen

    def _create_trial(self, record: Record) -> _Run:
        tags = {_TRIAL: record.trial.id, _PARENT: self._parent.id}
        run = self._create(record.trial.id, tags, milliseconds(record.started))
        self._trials[record.trial.id] = run
        return run

    def _create(self, name: str, tags: dict[str, str], started: int | None) -> _Run:
        tags = {**tags, _SWEEP: self._folder}
        run = self._client.create_run(self._experiment, start_time=started, tags=tags, run_name=name)
        self._written()
        return _Run.of(run)

    def _log_values(self, run: _Run, record: Record) -> None:
        """Log what a trial's run does not have yet of parameters, tags and metrics, in one call."""
        points = [p for epoch in record.history if epoch.epoch > run.epoch for p in epoch_points(epoch)]
        if record.status == "finished":
            points += [point for point in final_points(record) if point.key not in run.metrics]
        new_params = {k: v for k, v in params(record, self._sweep).items() if k not in run.params}
        tags = model_tags(record, self._sweep)
        if record.status == "failed" and record.error:
            tags[_ERROR] = record.error[-5000:]
        tags = {key: value for key, value in tags.items() if run.tags.get(key) != value}
        if points or new_params or tags:
            self._client.log_batch(
                run.id,
                metrics=[Metric(*point) for point in points],
                params=[Param(*item) for item in new_params.items()],
                tags=[RunTag(*item) for item in tags.items()],
            )
            run.metrics |= {point.key: point.value for point in points}
            run.epoch = max([run.epoch, *(epoch.epoch for epoch in record.history)])
            run.params |= new_params.keys()
            run.tags |= tags
            self._written()
        if record.status != "failed" and _ERROR in run.tags:
            self._client.delete_tag(run.id, _ERROR)
            del run.tags[_ERROR]
            self._written()

    def _log_status(self, run: _Run, record: Record) -> None:
        status, ended = _STATUS[record.status], end_of(record)
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
        self._written()


@contextmanager
def _rejections() -> Iterator[None]:
    """Tells the server's errors that are about the request itself from those that may pass.

    Raises:
        RejectedError: for the former.
    """
    try:
        yield
    except MlflowException as error:
        if error.error_code in _REJECTIONS:
            raise RejectedError(str(error)) from error
        raise
