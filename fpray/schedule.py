"""The schedule: which trial is next, so that the records become complete."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from itertools import groupby
from statistics import fmean

from fpray.config import Sweep
from fpray.lanes import Lane, lanes
from fpray.records import Record, Trial
from fpray.search import Study, Values
from fpray.space import Choice, Grid, Params, Space


class Wait(Enum):
    """Why there is no next trial."""

    FOR_RESULTS = "trials that run now must end first"
    NOTHING_LEFT = "every trial has ended or runs"


@dataclass
class Underway:
    """A lane's study, once it is open, and the hyperparameters of each number that was dealt."""

    study: Study
    params: list[Params]


class Schedule:
    """Deals a sweep's trials, the methods in turn, each number with every seed.

    Models come one after the other: trials of the next are dealt only while those of the ones before it wait for
    results, or when none of them is left. A schedule is made from the records that there are: it goes on with the
    trials that were interrupted, and never deals again one that has ended.
    """

    def __init__(self, sweep: Sweep, records: Iterable[Record]) -> None:
        self.sweep = sweep
        self.lanes = lanes(sweep)
        self.seeds = sweep.train.seeds
        self.records = {record.trial.id: record for record in records}
        self._interrupted = [r for r in self.wanted() if r.status == "running"]
        self._underway: dict[Lane, Underway] = {}
        self._turns = [list(group) for _, group in groupby(self.lanes, lambda lane: lane.models)]

    @property
    def planned(self) -> int:
        """How many trials the sweep has in all; none of a lane whose sources have all failed."""
        possible = (lane.trials for lane in self.lanes if self._unended(lane) or self._space(lane) is not None)
        return sum(possible) * len(self.seeds)

    @property
    def complete(self) -> bool:
        """Whether every trial has ended."""
        return len(self.wanted()) == self.planned and all(r.status != "running" for r in self.wanted())

    def wanted(self) -> list[Record]:
        """The records of the trials that today's sweep file asks for."""
        return [record for lane in self.lanes for record in self.of(lane)]

    def of(self, lane: Lane) -> list[Record]:
        """The records of a lane's trials."""
        return [record for record in list(self.records.values()) if lane.has(record.trial)]

    def next(self) -> Record | Wait:
        """The record of the next trial to run; from now on it is among `records`, as running."""
        if self._interrupted:
            return self._interrupted.pop(0)
        waiting = False
        for turn in self._turns:
            for lane in list(turn):
                dealt = self._next_of(lane)
                if dealt is Wait.FOR_RESULTS:
                    waiting = True
                    continue
                turn.remove(lane)
                if isinstance(dealt, Record):
                    turn.append(lane)
                    self.records[dealt.trial.id] = dealt
                    return dealt
        return Wait.FOR_RESULTS if waiting else Wait.NOTHING_LEFT

    def again(self, record: Record) -> None:
        """Deal a trial once more whose attempt has failed."""
        self.records[record.trial.id] = record
        self._interrupted.append(record)

    def ended(self, record: Record) -> None:
        """Learn how a trial ended."""
        self.records[record.trial.id] = record
        for lane in self._underway:
            if lane.has(record.trial):
                self._tell(lane, record.trial.number)

    def _next_of(self, lane: Lane) -> Record | Wait:
        if self._unended(lane):
            return Wait.FOR_RESULTS
        begun = self._underway.get(lane) or self._open(lane)
        if begun is None:
            return Wait.NOTHING_LEFT
        record = self._missing_seed(lane, begun)
        if record is not None:
            return record
        if len(begun.params) == lane.trials:
            return Wait.NOTHING_LEFT
        if not begun.study.ready:
            return Wait.FOR_RESULTS
        begun.params.append(begun.study.suggest())
        return self._missing_seed(lane, begun) or Wait.NOTHING_LEFT

    def _missing_seed(self, lane: Lane, begun: Underway) -> Record | None:
        """The first trial of the numbers dealt so far that has no record."""
        recorded = {(record.trial.number, record.trial.seed) for record in self.of(lane)}
        for number, params in enumerate(begun.params):
            for seed in self.seeds:
                if (number, seed) not in recorded:
                    return Record(trial=self._trial(lane, number, seed, params), started=time.time())
        return None

    def _trial(self, lane: Lane, number: int, seed: int, params: Params) -> Trial:
        params = self._with_seed(params, seed)
        source = self.records.get(str(params.get("source", "")))
        model = source.trial.model if source else None
        if model is None:
            model = next((m for m in lane.models if m.short == params.get("model")), lane.models[0])
        if len(lane.models) > 1:
            params = params | {"model": model.short}
        trial_id = self._id(f"{lane.name}-{number:03d}", seed)
        return Trial(id=trial_id, method=lane.method, number=number, seed=seed, params=params, model=model)

    def _sources(self, lane: Lane) -> list[Lane]:
        """The lanes that a lane builds on: other methods on the same model."""
        return [s for s in self.lanes if s.models == lane.models and s.method in lane.settings.sources()]

    def _unended(self, lane: Lane) -> bool:
        """Whether trials that a lane builds on have not ended yet."""
        return any(not self._all_ended(source) for source in self._sources(lane))

    def _all_ended(self, lane: Lane) -> bool:
        ended = [record for record in self.of(lane) if record.status != "running"]
        return len(ended) == lane.trials * len(self.seeds)

    def _open(self, lane: Lane) -> Underway | None:
        """Start a lane's study with the trials that there are; None if it has nothing to build on."""
        space = self._space(lane)
        if space is None:
            return None
        begun = self._underway[lane] = Underway(Study(lane.name, space, self.sweep.search), [])
        recorded = {r.trial.number: self._without_seed(r.trial.params) for r in self.of(lane)}
        for number in range(max(recorded, default=-1) + 1):
            self._tell(lane, number)
            if number in recorded:
                begun.study.repeat(recorded[number])
            # A record that was lost is suggested again, the same.
            begun.params.append(recorded[number] if number in recorded else begun.study.suggest())
        return begun

    def _tell(self, lane: Lane, number: int) -> None:
        """Tell the study a number's result, once every seed of it has ended."""
        records = [r for r in self.of(lane) if r.trial.number == number and r.status != "running"]
        if len(records) == len(self.seeds):
            self._underway[lane].study.tell(number, self._values(records))

    def _values(self, records: list[Record]) -> Values | None:
        """The objectives, each the mean over the seeds; None if a seed failed."""
        if any(record.status != "finished" for record in records):
            return None
        metrics = [record.metrics() for record in records]
        first, second = (fmean(m[objective] for m in metrics) for objective in self.sweep.search.objectives)
        return first, second

    def _space(self, lane: Lane) -> Space | None:
        """The search space; of a method that builds on others, with their finished trials as sources."""
        if not lane.settings.sources():
            return lane.space()
        usable: dict[str, bool] = {}
        for record in (r for source in self._sources(lane) for r in self.of(source)):
            name = self._name(record.trial.id)
            usable[name] = usable.get(name, True) and record.status == "finished"
        sources = tuple(sorted(name for name, every_seed in usable.items() if every_seed))
        kind = Grid if self.sweep.search.sampler == "grid" else Choice
        return {"source": kind(sources)} | lane.space() if sources else None

    def _id(self, name: str, seed: int) -> str:
        return name if len(self.seeds) == 1 else f"{name}-s{seed}"

    def _name(self, trial_id: str) -> str:
        """What trials of all seeds have in common, see `_id`."""
        return trial_id if len(self.seeds) == 1 else trial_id.rpartition("-s")[0]

    def _with_seed(self, params: Params, seed: int) -> Params:
        """A suggestion for one seed: it builds on the source's trial with the same seed."""
        return params | {"source": self._id(str(params["source"]), seed)} if "source" in params else params

    def _without_seed(self, params: Params) -> Params:
        """Recorded hyperparameters as they were suggested, see `_with_seed`."""
        return params | {"source": self._name(str(params["source"]))} if "source" in params else params
