"""Trackers: what a sweep talks to, whether it is tracked in MLflow or not.

Nothing that goes wrong in MLflow reaches the sweep. What could not be logged is tried again every few seconds, and by
the next command if the server stays away: the records have it all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from upath import UPath

from fpray.config import Sweep
from fpray.console import first_of
from fpray.records import Record
from fpray.redaction import hidden
from fpray.report import Report
from fpray.tracking.background import End, LoggingThread
from fpray.tracking.pages import Pages

PATIENCE_SECONDS = 60.0
"""For how long the end of a sweep waits for a server that takes nothing."""
QUIET_SECONDS = 5.0
"""For how long it waits before it says so."""


def tracking_uri(sweep: Sweep, storage: UPath) -> str | None:
    """The MLflow address of a sweep: its file's, or a sqlite file in a local storage folder; None if not tracked."""
    if sweep.tracking is None:
        return None
    return sweep.tracking.uri or f"sqlite:///{storage.path}/mlflow.db"


def open_tracker(sweep: Sweep, folder: UPath, identity: str, say: Callable[[str], None]) -> Tracker | NoTracker:
    """The tracker that a sweep file asks for.

    Args:
        folder: the sweep's, in the storage folder.
        identity: the sweep's id.
        say: told in a line where the runs are to be seen, and when the server is away and answers again.
    """
    uri = tracking_uri(sweep, folder.parent)
    return NoTracker() if uri is None else Tracker(sweep, folder, identity, uri, say)


class NoTracker:
    """The tracker of a sweep that is not tracked: it has the methods of `Tracker`, and they do nothing."""

    pages = None

    def update(self, record: Record) -> None:
        pass

    def close(self, report: Report, files: Sequence[UPath], on_wait: Callable[[str], None] | None = None) -> str | None:
        pass

    def leave(self, seconds: float = 3.0) -> None:
        pass


class Tracker:
    """Keeps the MLflow runs of a sweep like its records, in a thread of its own."""

    def __init__(
        self, sweep: Sweep, folder: UPath, identity: str, uri: str, say: Callable[[str], None] = lambda line: None
    ) -> None:
        """
        Args:
            folder: the sweep's, in the storage folder.
            identity: the sweep's id.
            uri: MLflow's address, with a password if it wants one.
            say: see `open_tracker`.
        """
        self.uri = uri
        self._thread = LoggingThread(sweep, folder, identity, uri, say)
        self._thread.start()

    @property
    def pages(self) -> Pages | None:
        """What shows the list of the runs; None until the server has been found."""
        return self._thread.pages

    def update(self, record: Record) -> None:
        """Bring a trial's run up to its record. The call returns at once; any thread may make it."""
        self._thread.put(record)

    def close(self, report: Report, files: Sequence[UPath], on_wait: Callable[[str], None] | None = None) -> str | None:
        """Log the sweep's report with its files, and wait until everything is logged.

        The wait ends early when the server has taken nothing for `PATIENCE_SECONDS`, or with Ctrl-C.

        Args:
            on_wait: called once with a line for the user if the wait takes longer than `QUIET_SECONDS`.

        Returns:
            What went wrong, in a sentence, or None.
        """
        self._thread.put(End(report, tuple(files)))
        try:
            obstacle = self._wait(on_wait)
        except KeyboardInterrupt:
            obstacle = "interrupted"
        if obstacle is not None:
            self._thread.give_up()
            return f"{self._behind(obstacle)}; the same command catches it up"
        return self._refusal()

    def leave(self, seconds: float = 3.0) -> None:
        """End the tracking of a sweep that has trials left: log the newest records, for at most so many seconds.

        Nothing is waited for if the server did not answer before.
        """
        if self._thread.trouble is None:
            self._thread.put(End())
            self._thread.join(seconds)
        self._thread.give_up()

    def _wait(self, on_wait: Callable[[str], None] | None) -> str | None:
        """Wait for the thread's end; return why it is not waited for any longer, or None when it has ended."""
        began = time.monotonic()
        while True:
            self._thread.join(0.2)
            if not self._thread.is_alive():
                return None
            now = time.monotonic()
            obstacle = self._thread.trouble or "it answers slowly"
            if now - max(began, self._thread.last_write) > PATIENCE_SECONDS:
                return obstacle
            if on_wait is not None and now - began > QUIET_SECONDS:
                on_wait(f"waiting: {self._behind(obstacle)}")
                on_wait = None

    def _behind(self, reason: str) -> str:
        return f"MLflow at {hidden(self.uri)} is behind ({reason})"

    def _refusal(self) -> str | None:
        """A sentence on the records that MLflow refuses for good, when the thread has ended; None if it took all."""
        rejected = self._thread.rejected
        if not rejected:
            return None
        first, *others = sorted(rejected)
        problem = f"MLflow at {hidden(self.uri)} does not take {first} ({rejected[first]})"
        return problem + (f", nor {first_of(others, 5)}" if others else "")
