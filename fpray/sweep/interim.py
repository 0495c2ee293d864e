"""The report's page while a sweep runs: plain, without intervals, made anew every few minutes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from fpray.config import dump_sweep
from fpray.records import SweepFolder
from fpray.redaction import hidden
from fpray.report import as_html, content_of, make_report
from fpray.search import Schedule
from fpray.storage import StorageError, write_whole

EVERY = 180.0
"""Seconds between two pages: each takes a fraction of one."""


class InterimPage:
    """Writes the page of the trials that have ended so far."""

    def __init__(self, schedule: Schedule, folder: SweepFolder, say: Callable[[str], None]) -> None:
        """
        Args:
            say: told in a line where the first page is.
        """
        self._schedule, self._folder, self._say = schedule, folder, say
        self._last: float | None = None

    def trial_ended(self) -> None:
        """Write the page, if the last one is old enough. A storage that takes nothing now gets the next one."""
        now = time.monotonic()
        if self._last is not None and now - self._last < EVERY:
            return
        sweep, records = self._schedule.sweep, self._schedule.wanted()
        report = make_report(sweep, records)
        if not report.points:
            return
        first, self._last = self._last is None, now
        ended = sum(record.has_ended for record in records)
        so_far = f"{ended} of {self._schedule.planned} trials have ended; intervals come with the last"
        content = content_of(sweep, report, records, {}, dump_sweep(sweep), so_far)
        file = self._folder.report / "report.html"
        with contextlib.suppress(StorageError):
            write_whole(file, as_html(content).encode())
            if first:
                self._say(f"the report so far: {hidden(str(file))}")
