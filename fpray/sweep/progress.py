"""Progress: how a sweep goes on, in a live view on a terminal and else a line an event."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence

from rich.live import Live

from fpray.records import Record
from fpray.search import Schedule
from fpray.sweep.events import Events
from fpray.sweep.live import LiveView
from fpray.sweep.timeleft import TimeLeft
from fpray.sweep.words import best_lines, duration, end_sentence, epoch_sentence

EPOCH_LINE_EVERY = 30.0
"""Seconds between two lines on the epochs of one trial, at least."""
LOOKS = 20
"""Looks at the running trials, of which the one that saw most counts."""
SUMMARY_EVERY = 10
"""Trials between two summaries in a log."""


class Progress:
    """Tells how a sweep goes on."""

    def __init__(self, schedule: Schedule, events: Events) -> None:
        self._schedule, self._events = schedule, events
        self._began = time.time()
        self._time_left = TimeLeft(schedule.studies, schedule.sweep.train.epochs, self._began)
        self._running: Sequence[Record] = ()
        self._at_once: deque[int] = deque(maxlen=LOOKS)
        """How many trials ran at each of the last looks: between two of them one is missing for a moment."""
        self._waits: str | None = None
        self._epoch_lines: dict[str, tuple[float, int]] = {}
        """When the last line on a trial's epochs was said, and of which epoch."""
        self._live: Live | None = None
        if events.console.is_terminal:
            self._live = Live(
                get_renderable=self._view, console=events.console, refresh_per_second=1, vertical_overflow="crop"
            )

    def __enter__(self) -> Progress:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Leave the terminal as it was."""
        if self._live is not None:
            self._live.stop()

    def show_change(self, record: Record) -> None:
        """Tell of a trial that has ended, or whose attempt has failed and that is tried again."""
        done = sum(r.has_ended for r in self._schedule.wanted())
        count = f"[{done:>{len(str(self._schedule.planned))}}/{self._schedule.planned}]"
        self._events.say(f"{count} {end_sentence(record, self._schedule)}")
        if self._live is None and done % SUMMARY_EVERY == 0 and record.has_ended:
            for line in (*best_lines(self._schedule), self._left_line()):
                self._events.say(line)

    def show_running(self, running: Sequence[Record], waits: str | None) -> None:
        """Show which trials run and how far they are; and what some wait for, once.

        Args:
            running: the records of the trials that have begun.
            waits: what some of them wait for.
        """
        self._running = running
        self._at_once.append(max(1, len(running)))
        if waits != self._waits:
            self._waits = waits
            self._events.say(waits or "no trial waits for a node any more")
        if self._live is None:
            for record in running:
                self._tell_epoch(record)

    def _tell_epoch(self, record: Record) -> None:
        now = time.monotonic()
        said, epoch = self._epoch_lines.get(record.trial.id, (now - EPOCH_LINE_EVERY, 0))
        if record.history and len(record.history) > epoch and now - said >= EPOCH_LINE_EVERY:
            self._epoch_lines[record.trial.id] = now, len(record.history)
            self._events.say(epoch_sentence(record, self._schedule))

    def _left_line(self) -> str:
        left = self._seconds_left()
        return "time left not known yet" if left is None else f"about {duration(left)} left"

    def _seconds_left(self) -> float | None:
        newest = {record.trial.id: record for record in self._schedule.wanted()}
        newest |= {r.trial.id: r for r in self._running if not newest.get(r.trial.id, r).has_ended}
        return self._time_left(list(newest.values()), time.time(), max(self._at_once, default=1))

    def _view(self) -> LiveView:
        elapsed = time.time() - self._began
        return LiveView(self._schedule, self._running, elapsed, self._seconds_left(), self._waits)
