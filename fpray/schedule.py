"""The schedule: which trial is next, so that the records become complete."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from statistics import fmean

from fpray.config import MethodSettings, Sweep
from fpray.records import Record, Trial
from fpray.search import Study, Values
from fpray.space import Choice, Grid, Params, Space


class Wait(Enum):
    """Why there is no next trial."""

    FOR_RESULTS = "trials that run now must end first"
    NOTHING_LEFT = "every trial has ended or runs"


@dataclass
class Lane:
    """One method's trials: its study, and the hyperparameters of each number that was dealt."""

    settings: MethodSettings
    study: Study
    params: list[Params]


class Schedule:
    """Deals a sweep's trials, the methods in turn, each number with every seed.

    A schedule is made from the records that there are: it goes on with the trials that were interrupted, and never
    deals again one that has ended.
    """

    def __init__(self, sweep: Sweep, records: Iterable[Record]) -> None:
        self.sweep = sweep
        self.methods = sweep.methods.chosen()
        self.seeds = sweep.train.seeds
        self.records = {record.trial.id: record for record in records}
        self._interrupted = [r for method in self.methods for r in self._of(method) if r.status == "running"]
        self._lanes: dict[str, Lane] = {}
        self._turn = list(self.methods)

    @property
    def planned(self) -> int:
        """How many trials the sweep has in all; none of a method whose sources have all failed."""
        possible = (s.trials for s in self.methods.values() if self._unended(s) or self._space(s) is not None)
        return sum(possible) * len(self.seeds)

    @property
    def complete(self) -> bool:
        """Whether every trial has ended."""
        return len(self.wanted()) == self.planned and all(r.status != "running" for r in self.wanted())

    def wanted(self) -> list[Record]:
        """The records of the trials that today's sweep file asks for."""
        return [record for method in self.methods for record in self._of(method)]

    def next(self) -> Record | Wait:
        """The record of the next trial to run; from now on it is among `records`, as running."""
        if self._interrupted:
            return self._interrupted.pop(0)
        waiting = False
        for method in list(self._turn):
            dealt = self._next_of(method)
            if dealt is Wait.FOR_RESULTS:
                waiting = True
                continue
            self._turn.remove(method)
            if isinstance(dealt, Record):
                self._turn.append(method)
                self.records[dealt.trial.id] = dealt
                return dealt
        return Wait.FOR_RESULTS if waiting else Wait.NOTHING_LEFT

    def ended(self, record: Record) -> None:
        """Learn how a trial ended."""
        self.records[record.trial.id] = record
        if record.trial.method in self._lanes:
            self._tell(record.trial.method, record.trial.number)

    def _of(self, method: str) -> list[Record]:
        """The records of a method's trials, of those that the sweep file asks for."""
        of_method = (r for r in list(self.records.values()) if r.trial.method == method)
        return [r for r in of_method if r.trial.number < self.methods[method].trials]

    def _next_of(self, method: str) -> Record | Wait:
        if self._unended(self.methods[method]):
            return Wait.FOR_RESULTS
        lane = self._lanes.get(method) or self._open(method)
        if lane is None:
            return Wait.NOTHING_LEFT
        record = self._missing_seed(method, lane)
        if record is not None:
            return record
        if len(lane.params) == lane.settings.trials:
            return Wait.NOTHING_LEFT
        if not lane.study.ready:
            return Wait.FOR_RESULTS
        lane.params.append(lane.study.suggest())
        return self._missing_seed(method, lane) or Wait.NOTHING_LEFT

    def _missing_seed(self, method: str, lane: Lane) -> Record | None:
        """The first trial of the numbers dealt so far that has no record."""
        for number, params in enumerate(lane.params):
            for seed in self.seeds:
                trial_id = self._id(f"{method}-{number:03d}", seed)
                if trial_id not in self.records:
                    params = self._with_seed(params, seed)
                    trial = Trial(id=trial_id, method=method, number=number, seed=seed, params=params)
                    return Record(trial=trial, started=time.time())
        return None

    def _unended(self, settings: MethodSettings) -> bool:
        """Whether trials that a method builds on have not ended yet."""
        return any(not self._all_ended(source) for source in settings.sources())

    def _all_ended(self, method: str) -> bool:
        ended = [record for record in self._of(method) if record.status != "running"]
        return len(ended) == self.methods[method].trials * len(self.seeds)

    def _open(self, method: str) -> Lane | None:
        """Start a method's study with the trials that there are; None if it has nothing to build on."""
        settings = self.methods[method]
        space = self._space(settings)
        if space is None:
            return None
        lane = self._lanes[method] = Lane(settings, Study(method, space, self.sweep.search), [])
        recorded = {r.trial.number: self._without_seed(r.trial.params) for r in self._of(method)}
        for number in range(max(recorded, default=-1) + 1):
            self._tell(method, number)
            if number in recorded:
                lane.study.repeat(recorded[number])
            # A record that was lost is suggested again, the same.
            lane.params.append(recorded[number] if number in recorded else lane.study.suggest())
        return lane

    def _tell(self, method: str, number: int) -> None:
        """Tell the study a number's result, once every seed of it has ended."""
        records = [r for r in self._of(method) if r.trial.number == number and r.status != "running"]
        if len(records) == len(self.seeds):
            self._lanes[method].study.tell(number, self._values(records))

    def _values(self, records: list[Record]) -> Values | None:
        """The objectives, each the mean over the seeds; None if a seed failed."""
        if any(record.status != "finished" for record in records):
            return None
        metrics = [record.metrics() for record in records]
        first, second = (fmean(m[objective] for m in metrics) for objective in self.sweep.search.objectives)
        return first, second

    def _space(self, settings: MethodSettings) -> Space | None:
        """The search space; of a method that builds on others, with their finished trials as sources."""
        if not settings.sources():
            return settings.space()
        usable: dict[str, bool] = {}
        for record in (r for source in settings.sources() for r in self._of(source)):
            name = f"{record.trial.method}-{record.trial.number:03d}"
            usable[name] = usable.get(name, True) and record.status == "finished"
        sources = tuple(sorted(name for name, every_seed in usable.items() if every_seed))
        kind = Grid if self.sweep.search.sampler == "grid" else Choice
        return {"source": kind(sources)} | settings.space() if sources else None

    def _id(self, name: str, seed: int) -> str:
        return name if len(self.seeds) == 1 else f"{name}-s{seed}"

    def _with_seed(self, params: Params, seed: int) -> Params:
        """A suggestion for one seed: it builds on the source's trial with the same seed."""
        return params | {"source": self._id(str(params["source"]), seed)} if "source" in params else params

    def _without_seed(self, params: Params) -> Params:
        """Recorded hyperparameters as they were suggested, see `_with_seed`."""
        if "source" in params and len(self.seeds) > 1:
            return params | {"source": str(params["source"]).rpartition("-s")[0]}
        return params
