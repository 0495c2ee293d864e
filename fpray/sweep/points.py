"""The points of curves that are on a front: each is evaluated on the test images when all trials have ended."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence

from fpray.config import Sweep
from fpray.records import Record, SweepFolder, Trial
from fpray.report import curve_front
from fpray.search import Schedule, Study, Wait, studies


class Evaluations:
    """Asked and told like a schedule, for points of trials instead of trials; those that were evaluated before are not
    again."""

    def __init__(self, sweep: Sweep, points: Sequence[Trial], evaluated: Sequence[Record]) -> None:
        """
        Args:
            sweep: by whose settings they are evaluated.
            points: see `Trial.point`.
            evaluated: the records of points that there are, of others too.
        """
        self.sweep = sweep
        known = {record.trial.id: record for record in evaluated}
        self.records = {point.id: known[point.id] for point in points if point.id in known}
        self.planned = len(points)
        self._to_begin = deque(point for point in points if point.id not in known)
        self._to_go_on = deque(record for record in self.records.values() if not record.has_ended)

    @property
    def complete(self) -> bool:
        """Whether every point was evaluated, or failed."""
        return len(self.records) == self.planned and all(record.has_ended for record in self.records.values())

    def wanted(self) -> list[Record]:
        """The records of the points that were begun."""
        return list(self.records.values())

    def ask(self, has_room: Callable[[str], bool] = lambda method: True) -> Record | Wait:
        """The record of the next point to evaluate; from now on it is among `records`."""
        if not self._to_go_on and not self._to_begin:
            return Wait.NOTHING_LEFT
        trial = self._to_go_on[0].trial if self._to_go_on else self._to_begin[0]
        if not has_room(trial.method):
            return Wait.FOR_ROOM
        if self._to_go_on:
            return self._to_go_on.popleft()
        record = Record(trial=self._to_begin.popleft(), started=time.time())
        self.records[trial.id] = record
        return record

    def tell(self, record: Record) -> None:
        """Learn how a point's evaluation ended; one whose attempt failed is tried again."""
        self.records[record.trial.id] = record
        if not record.has_ended:
            self._to_go_on.append(record)


class Points(Evaluations):
    """The points on the fronts of a sweep's curves."""

    def __init__(self, sweep: Sweep, trials: Sequence[Record], evaluated: Sequence[Record]) -> None:
        """
        Args:
            trials: the sweep's, all of which have ended.
            evaluated: the records of points that there are, of fronts of before too.
        """
        super().__init__(sweep, [p for study in studies(sweep) for p in _on_front(study, sweep, trials)], evaluated)


def points_of(schedule: Schedule, folder: SweepFolder, retry_failed: bool) -> Points | None:
    """The points of a sweep's curves; None while it has trials that have not ended.

    Args:
        retry_failed: whether points that failed are evaluated again.
    """
    if not schedule.complete:
        return None
    evaluated = folder.points.records.read_all()
    if retry_failed:
        evaluated = [record.again() if record.status == "failed" else record for record in evaluated]
    return Points(schedule.sweep, schedule.wanted(), evaluated)


def _on_front(study: Study, sweep: Sweep, trials: Sequence[Record]) -> list[Trial]:
    """The points on the front of a study's curves, but for the trials themselves, whose test accuracies are known."""
    own = {record.trial.id: record for record in trials if study.has(record.trial)}
    best = curve_front(own.values(), study, sweep.search.axes)
    return [own[trial].trial.point(point.alpha) for point in best if point.alpha < 1 for trial in point.trials]
