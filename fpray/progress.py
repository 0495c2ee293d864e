"""Progress: what runs, what is done, the best so far and the time left, a line at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from statistics import fmean

from rich.console import Console

from fpray.records import Record
from fpray.report import describe
from fpray.schedule import Schedule
from fpray.store import DamagedRecordError, RecordStore

Noted = Callable[[Record], None]


class Progress:
    """Tells how a sweep goes on. On a terminal the last line is a status that changes in place."""

    def __init__(self, schedule: Schedule, at_once: int, epochs: int, console: Console) -> None:
        self._schedule, self._at_once, self._epochs, self._console = schedule, at_once, epochs, console
        self._width = max([16, *(len(lane.name) + len("-000") for lane in schedule.lanes)])
        self._status = console.status("starting") if console.is_terminal else None

    def __enter__(self) -> Progress:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def ended(self, record: Record) -> None:
        """Tell of a trial that has ended, or whose attempt has failed and that is tried again."""
        wanted = self._schedule.wanted()
        done = sum(r.status != "running" for r in wanted)
        count = f"[{done:>{len(str(self._schedule.planned))}}/{self._schedule.planned}]"
        if record.status == "failed":
            text = f"{record.trial.id} failed: {reason(record)}"
        elif record.status == "running":
            text = f"{record.trial.id} is tried again from epoch {len(record.history) + 1}: {reason(record)}"
        else:
            metrics = record.metrics()
            text = (
                f"{record.trial.id:<{self._width}} ID {metrics['id/val/top1']:5.1f}  "
                f"OOD {metrics['ood/val/top1']:5.1f}  {describe(record.trial.params)}"
            )
        self._console.print(f"{count} {text}", highlight=False, markup=False, soft_wrap=True)
        if not self._console.is_terminal and done % 10 == 0 and record.status != "running":
            self._console.print(self._line(wanted), highlight=False, markup=False, soft_wrap=True)

    def update(self, running: list[Record]) -> None:
        """Show which trials run and how far they are; only on a terminal."""
        if self._status is None:
            return
        at = ", ".join(f"{r.trial.id} {len(r.history)}/{self._epochs}" for r in running)
        self._status.update(f"{self._line(self._schedule.wanted())}; running: {at or 'nothing yet'}")

    def _line(self, wanted: list[Record]) -> str:
        finished = [r for r in wanted if r.status == "finished"]
        parts = []
        if finished:
            best_id = max(finished, key=lambda r: r.metrics()["id/val/top1"])
            best_ood = max(finished, key=lambda r: r.metrics()["ood/val/top1"])
            parts += [
                f"best ID so far {best_id.metrics()['id/val/top1']:.1f} ({best_id.trial.id})",
                f"best OOD {best_ood.metrics()['ood/val/top1']:.1f} ({best_ood.trial.id})",
            ]
        return ", ".join([*parts, f"about {_duration(self._time_left(wanted))} left"])

    def _time_left(self, wanted: list[Record]) -> float:
        """Seconds, from what each lane's trials took so far."""
        seconds = [record.cost.seconds for record in wanted if record.cost is not None]
        if not seconds:
            return float("nan")
        left, overall = 0.0, fmean(seconds)
        for lane in self._schedule.lanes:
            own = [record for record in wanted if lane.has(record.trial)]
            took = [record.cost.seconds for record in own if record.cost is not None]
            trials = lane.trials * len(self._schedule.seeds) - sum(record.status != "running" for record in own)
            left += trials * (fmean(took) if took else overall)
        return left / self._at_once


class Watch(threading.Thread):
    """Looks at the records of the running trials every few seconds, and passes on those that have changed."""

    def __init__(self, schedule: Schedule, store: RecordStore, noted: list[Noted], progress: Progress) -> None:
        super().__init__(name="watch", daemon=True)
        self._schedule, self._store, self._noted, self._progress = schedule, store, noted, progress
        self._seen: dict[str, int] = {}
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(2.0):
            running = [r.trial.id for r in list(self._schedule.records.values()) if r.status == "running"]
            records = [record for record in map(self._read, running) if record is not None]
            for record in records:
                if record.status == "running" and self._seen.get(record.trial.id) != len(record.history):
                    self._seen[record.trial.id] = len(record.history)
                    for note in self._noted:
                        note(record)
            self._progress.update([r for r in records if r.status == "running"])

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def _read(self, trial_id: str) -> Record | None:
        try:
            return self._store.read(trial_id)
        except (OSError, DamagedRecordError):
            return None  # the storage is away for a moment: the next look will tell


def reason(record: Record) -> str:
    """The last line of what is known of a failure."""
    return next(iter((record.error or "").strip().splitlines()[-1:]), "its process died")


def _duration(seconds: float) -> str:
    if seconds != seconds:
        return "?"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
