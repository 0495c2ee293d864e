"""The thread that logs a sweep's records and its report in MLflow.

Callers put items into its inbox, and may read `trouble` and `last_write` at any time and `rejected` once it has ended.
Nobody else changes its state.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from upath import UPath

from fpray.config import Sweep
from fpray.records import Record
from fpray.redaction import hidden
from fpray.report import Report, make_report
from fpray.search import studies
from fpray.tracking.note import note
from fpray.tracking.pages import Pages, pages
from fpray.tracking.rejected import RejectedError

if TYPE_CHECKING:
    from fpray.tracking.mlflow_runs import Runs

NOTE_EVERY = 60.0
"""Seconds between two notes on MLflow's pages."""
RETRY_SECONDS = 3.0
"""After how long a server that has failed is tried again."""


@dataclass(frozen=True)
class End:
    """The last item for the thread: the sweep's report with its files, or None if trials are left to do."""

    report: Report | None = None
    files: tuple[UPath, ...] = ()


class LoggingThread(threading.Thread):
    """Logs each record that is put into its inbox, and ends when it has logged an `End`.

    When a call fails, it tries again after `RETRY_SECONDS`, until it is told to give up.
    """

    def __init__(self, sweep: Sweep, folder: UPath, identity: str, uri: str, say: Callable[[str], None]) -> None:
        """
        Args:
            say: told in a line when the server has been found, is away, and answers again.
        """
        super().__init__(name="tracking", daemon=True)
        self._say = say
        self._sweep, self._folder, self._identity, self._uri = sweep, folder, identity, uri
        self._inbox: queue.SimpleQueue[Record | End] = queue.SimpleQueue()
        self._given_up = threading.Event()
        self._next_note = 0.0
        self.pages: Pages | None = None
        """What opens the list of the runs, once the server has been found."""
        self._runs: Runs | None = None
        self._newest: dict[str, Record] = {}
        """The newest record of each trial."""
        self._pending: OrderedDict[str, Record] = OrderedDict()
        """The records that MLflow may not have yet, by trial; the first one is next."""
        self._end: End | None = None
        self._files: list[UPath] = []
        """The report's files that MLflow does not have yet."""
        self.trouble: str | None = None
        """Why the last try failed; None if it did not."""
        self.last_write = time.monotonic()
        """When the server last took something; at first, when the thread was made."""
        self.rejected: dict[str, str] = {}
        """Why MLflow refuses the record of a trial, by trial, or `the report`."""

    def put(self, item: Record | End) -> None:
        """Queue a record, or the end; any thread may call this."""
        self._inbox.put(item)

    def give_up(self) -> None:
        """Try nothing further; a call that is on its way is not broken off."""
        self._given_up.set()

    def run(self) -> None:
        complete = False
        while not complete and not self._given_up.is_set():
            self._receive()
            try:
                complete = self._log_next()
                if self.trouble is not None:
                    self._say(f"MLflow at {hidden(self._uri)} answers again")
                self.trouble = None
            except Exception as error:  # whatever goes wrong with MLflow must not reach the sweep
                if self.trouble is None:
                    self._say(
                        f"note: MLflow at {hidden(self._uri)} can't be reached ({_in_a_line(error)}); the sweep goes "
                        "on, and what MLflow misses comes once it answers"
                    )
                self.trouble = _in_a_line(error)
                self._start_over()
                self._given_up.wait(RETRY_SECONDS)

    def _receive(self) -> None:
        """Empty the inbox; wait for an item if there is nothing to do, not even to find the server."""
        while not self._inbox.empty() or (self._runs is not None and not self._pending and self._end is None):
            item = self._inbox.get()
            if isinstance(item, End):
                self._end, self._files = item, list(item.files)
            elif not self._is_outdated(item):
                self._newest[item.trial.id] = self._pending[item.trial.id] = item

    def _is_outdated(self, record: Record) -> bool:
        """Whether the thread knows a later attempt, or more of the same one."""
        known = self._newest.get(record.trial.id)
        return known is not None and _stage(record) < _stage(known)

    def _log_next(self) -> bool:
        """Log one record or, when none is left, the end; return whether that was the end."""
        if self._runs is None:
            from fpray.tracking.mlflow_runs import Runs  # late: MLflow takes seconds, for which no trial is to wait

            self._runs = Runs(self._sweep, self._folder, self._identity, self._uri, self._on_write)
            self._tell_address(self._runs)
        if self._pending:
            self._log_record(self._runs, next(iter(self._pending.values())))
        elif self._end is not None:
            if self._end.report is not None:
                self._log_report(self._runs, self._end.report)
            return True
        if time.monotonic() >= self._next_note:
            self._write_note(self._runs, make_report(self._sweep, list(self._newest.values())))
        return False

    def _write_note(self, runs: Runs, report: Report, picture: str | None = None, files: str | None = None) -> None:
        planned = sum(study.trials for study in studies(self._sweep))
        runs.write_note(note(self._sweep, report, planned, hidden(str(self._folder)), picture, files))
        self._next_note = time.monotonic() + NOTE_EVERY

    def _tell_address(self, runs: Runs) -> None:
        """Say, once, where the runs are to be seen."""
        if self.pages is None:
            self.pages = pages(self._uri, runs.experiment)
            for line in self.pages.lines():
                self._say(line)

    def _log_record(self, runs: Runs, record: Record) -> None:
        self.rejected.pop(record.trial.id, None)
        try:
            runs.log(record)
        except RejectedError as error:
            self.rejected[record.trial.id] = _in_a_line(error)
        del self._pending[record.trial.id]

    def _log_report(self, runs: Runs, report: Report) -> None:
        try:
            runs.log_report(report)
        except RejectedError as error:
            self.rejected["the report"] = _in_a_line(error)
        while self._files:
            runs.log_file(self._files[0])
            del self._files[0]
        files = f"#/experiments/{runs.experiment}/runs/{runs.parent}/artifacts"
        self._write_note(runs, report, f"/get-artifact?path=fronts.png&run_uuid={runs.parent}", files)
        runs.end(report)

    def _start_over(self) -> None:
        """Compare every record anew: how much of a failed call came through is unknown.

        The record that failed goes last, since it may be the cause.
        """
        self._runs = None
        failed = next(iter(self._pending), None)
        self._pending = OrderedDict(self._newest)
        if failed is not None:
            self._pending.move_to_end(failed)

    def _on_write(self) -> None:
        self.last_write = time.monotonic()


def _stage(record: Record) -> tuple[int, bool, int]:
    """The stage that a trial has reached; a later one is greater."""
    return record.attempt, record.has_ended, len(record.history)


def _in_a_line(error: Exception) -> str:
    """An error's text on one line of at most 303 characters, without secrets."""
    text = hidden(" ".join(str(error).split())) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:300]}..."
