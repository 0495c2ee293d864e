"""Tracking: keeps MLflow like the records, in a thread of its own.

Nothing that goes wrong there reaches the sweep. What could not be logged is tried again every few seconds, and by the
next command if the server stays away: the records have it all.
"""

from __future__ import annotations

import queue
import shlex
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from upath import UPath

from fpray.check import first_of
from fpray.config import Sweep
from fpray.records import Record
from fpray.redaction import hidden
from fpray.report import Report
from fpray.runs import RejectedError, Runs

RETRY_SECONDS = 3.0
"""After how long a server that has failed is tried again."""
PATIENCE_SECONDS = 60.0
"""For how long the end of a sweep waits for a server that takes nothing."""
SAY_SECONDS = 5.0
"""For how long it waits without a word."""


def tracking_uri(sweep: Sweep, storage: UPath) -> str | None:
    """Where the sweep is tracked: as its file says, or in a sqlite file in a local storage folder; None for nowhere."""
    if sweep.tracking is None:
        return None
    return sweep.tracking.uri or f"sqlite:///{storage.path}/mlflow.db"


def open_command(uri: str) -> str:
    """The command that opens MLflow's UI on a tracking URI, or the UI's address; without a password."""
    uri = hidden(uri)
    return f"python -m mlflow ui --backend-store-uri {shlex.quote(uri)}" if uri.startswith("sqlite:") else uri


@dataclass
class _End:
    """The sweep has ended with a report, or is left without one; `files` are those that MLflow doesn't have yet."""

    report: Report | None
    files: list[UPath]


class Tracker:
    """Keeps the MLflow runs of a sweep like its records."""

    def __init__(self, sweep: Sweep, storage: UPath, folder: UPath, uri: str) -> None:
        self._sweep, self._storage, self._folder, self.uri = sweep, storage, folder, uri
        self._inbox: queue.SimpleQueue[Record | _End] = queue.SimpleQueue()
        self._newest: dict[str, Record] = {}
        self._left: dict[str, Record] = {}
        """The records that MLflow may not have yet, by trial."""
        self._rejected: dict[str, str] = {}
        """Why MLflow takes a trial's record (or the report) not at all."""
        self._runs: Runs | None = None
        self._end: _End | None = None
        self._trouble: str | None = None
        """Why the last try failed."""
        self._moved = time.monotonic()
        """When the server last took something."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
        self._thread.start()

    def note(self, record: Record) -> None:
        """Take up a trial's record; it is logged when its turn comes."""
        self._inbox.put(record)

    def close(self, report: Report, files: list[UPath], say: Callable[[str], None] = lambda line: None) -> str | None:
        """Log the sweep's report with its files, and wait until everything is logged, or the server takes no more.

        Ctrl-C ends the wait.

        Args:
            say: is told, in a line, if it takes long.

        Returns:
            What went wrong, in a sentence, or None.
        """
        self._inbox.put(_End(report, list(files)))
        try:
            complete = self._wait(say)
        except KeyboardInterrupt:
            complete, self._trouble = False, "interrupted"
        if not complete:
            self._over.set()
            return f"{self._behind()}; the same command catches it up"
        if not self._rejected:
            return None
        what, *others = sorted(self._rejected)
        problem = f"MLflow at {hidden(self.uri)} does not take {what} ({self._rejected[what]})"
        return problem + (f", nor {first_of(others, 5)}" if others else "")

    def leave(self, seconds: float = 3.0) -> None:
        """Log what was noted, for at most so long; if the server is away, not at all."""
        if self._trouble is None:
            self._inbox.put(_End(None, []))
            self._thread.join(seconds)
        self._over.set()

    def _wait(self, say: Callable[[str], None]) -> bool:
        """Wait for the thread's end; False if the server has taken nothing for too long."""
        began, said = time.monotonic(), False
        while self._thread.is_alive():
            self._thread.join(0.2)
            now = time.monotonic()
            if now - max(began, self._moved) > PATIENCE_SECONDS:
                return False
            if now - began > SAY_SECONDS and not said:
                said = True
                say(f"waiting: {self._behind()}")
        return True

    def _behind(self) -> str:
        return f"MLflow at {hidden(self.uri)} is behind ({self._trouble or 'it answers slowly'})"

    def _work(self) -> None:
        while not self._over.is_set():
            self._take()
            try:
                self._step()
                self._trouble = None
            except Exception as error:
                self._trouble = _in_a_line(error)
                # What has come through is unknown. All is compared anew, what failed last: it may be its own fault.
                self._runs = None
                failed = dict(list(self._left.items())[:1])
                self._left = {**{k: r for k, r in self._newest.items() if k not in failed}, **failed}
                self._over.wait(RETRY_SECONDS)

    def _take(self) -> None:
        """Take in what was noted; wait for something if nothing is left to do."""
        while not self._inbox.empty() or (not self._left and self._end is None):
            item = self._inbox.get()
            if isinstance(item, _End):
                self._end = item
            elif not self._is_late(item):
                self._newest[item.trial.id] = self._left[item.trial.id] = item

    def _is_late(self, record: Record) -> bool:
        """Whether a later attempt is known already, or the end of the same one."""
        known = self._newest.get(record.trial.id)
        return known is not None and _stage(record) < _stage(known)

    def _step(self) -> None:
        """Log one record; when none is left, the end."""
        if self._runs is None:
            self._runs = Runs(self._sweep, self._storage, self._folder, self.uri, self._move)
        if self._left:
            trial_id, record = next(iter(self._left.items()))
            self._rejected.pop(trial_id, None)
            try:
                self._runs.log(record)
            except RejectedError as error:
                self._rejected[trial_id] = _in_a_line(error)
            del self._left[trial_id]
        elif self._end is not None:
            if self._end.report is not None:
                self._log_report(self._runs, self._end.report, self._end.files)
            self._over.set()

    def _log_report(self, runs: Runs, report: Report, files: list[UPath]) -> None:
        try:
            runs.log_report(report)
        except RejectedError as error:
            self._rejected["the report"] = _in_a_line(error)
        while files:
            runs.log_file(files[0])
            del files[0]
        runs.end(report)

    def _move(self) -> None:
        self._moved = time.monotonic()


def _stage(record: Record) -> tuple[int, bool]:
    """How far a trial is, in an order."""
    return record.attempt, record.status != "running"


def _in_a_line(error: Exception) -> str:
    text = hidden(" ".join(str(error).split())) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:300]}..."
