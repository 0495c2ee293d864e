"""The live view of a sweep on a terminal: its methods, the trials that run, the best so far and the time left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.text import Text

from fpray.records import Record
from fpray.search import Schedule
from fpray.sweep.words import best_lines, duration, epoch_words

BAR = 20
"""Characters of a method's bar."""
MOST_RUNNING = 6
"""The trials that are shown with their epoch."""


@dataclass
class LiveView:
    """What is shown, as it is at one moment. It is as high as the terminal allows, and never wider."""

    schedule: Schedule
    running: Sequence[Record]
    elapsed: float
    left: float | None
    waits: str | None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self.lines(options.max_width, console.height):
            yield from Text(line, no_wrap=True, overflow="ellipsis", end="").__rich_console__(console, options)
            yield Segment.line()

    def lines(self, width: int, height: int) -> list[str]:
        """The lines, cut to a width and a height in characters."""
        running = self._running(min(MOST_RUNNING, max(1, height // 4)))
        below = [*running, *best_lines(self.schedule), self._total(), *([self.waits] if self.waits else [])]
        methods = self._methods(max(1, height - len(below) - 2))
        return [line[:width] for line in (*methods, *below)]

    def _methods(self, most: int) -> list[str]:
        studies = self.schedule.studies
        width = max(len(study.name) for study in studies)
        at = {id(study): [record for record in self.running if study.has(record.trial)] for study in studies}
        # Those with nothing left or begun go first where there are too many.
        shown = sorted(studies, key=lambda study: not at[id(study)])[:most] if len(studies) > most else studies
        lines = [
            self._method(f"{study.name:<{width}}", self.schedule.records_of(study), study.trials, len(at[id(study)]))
            for study in studies
            if study in shown
        ]
        hidden = len(studies) - len(shown)
        return [*lines, f"and {hidden} more"] if hidden else lines

    def _method(self, name: str, records: Sequence[Record], trials: int, running: int) -> str:
        done = sum(record.has_ended for record in records)
        failed = sum(record.status == "failed" for record in records)
        filled = BAR * done // max(1, trials)
        partly = min(BAR - filled, -(-BAR * running // max(1, trials)))
        bar = "█" * filled + "▒" * partly + "░" * (BAR - filled - partly)
        words = [f"{done}/{trials} done", f"{running} running" if running else "", f"{failed} failed" if failed else ""]
        return f"{name}  {bar}  {', '.join(word for word in words if word)}"

    def _running(self, most: int) -> list[str]:
        width = max((len(record.trial.id) for record in self.running), default=0)
        usual = self.schedule.sweep.train.epochs
        lines = [f"{r.trial.id:<{width}}  {epoch_words(r, r.trial.epochs(usual))}" for r in self.running]
        return [*lines[:most], f"and {len(lines) - most} more running"] if len(lines) > most else lines

    def _total(self) -> str:
        wanted = self.schedule.wanted()
        done = sum(record.has_ended for record in wanted)
        left = f"about {duration(self.left)} left" if self.left is not None else "time left not known yet"
        return f"{done} of {self.schedule.planned} trials done, {duration(self.elapsed)} so far, {left}"
