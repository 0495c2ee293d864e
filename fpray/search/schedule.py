"""The schedule: which trial is next, so that the records become complete."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from itertools import groupby
from statistics import fmean
from typing import Protocol

from fpray.config import Sweep
from fpray.model import Model
from fpray.records import Record
from fpray.search.searcher import Objectives, Searcher
from fpray.search.study import SOURCE, Study, studies
from fpray.space import Choice, Grid, Params, Space


class Wait(Enum):
    """The reason why there is no next trial."""

    FOR_RESULTS = "trials that run now must end first"
    FOR_ROOM = "there is no room for one more trial"
    NOTHING_LEFT = "every trial has ended or runs"


class AskAndTell(Protocol):
    """What trials are asked of, and told how they ended, as Optuna calls it: a schedule is one."""

    @property
    def sweep(self) -> Sweep: ...

    @property
    def planned(self) -> int:
        """The number of trials in all."""

    def wanted(self) -> list[Record]:
        """The records of the trials that were begun."""

    def ask(self, has_room: Callable[[str], bool]) -> Record | Wait:
        """The record of the next trial to run, if one more of its method finds room."""

    def tell(self, record: Record) -> None:
        """Learn how a trial ended; one that has not ended is to go on."""


@dataclass
class Underway:
    """The searcher of a study that has begun, and the suggestion of each number so far."""

    searcher: Searcher
    suggestions: list[Params]


class Schedule:
    """Asks a sweep's studies for trials in turn, each number on every draw of the data with every seed.

    Models come one after the other: trials of the next are begun only while those of the ones before it wait for
    results, or when none of them is left. A schedule is made from the records that there are: it goes on with the
    trials that were interrupted, and never begins again one that has ended.
    """

    def __init__(self, sweep: Sweep, records: Iterable[Record], start: int | None = None) -> None:
        """
        Args:
            start: the number of the start that new trials are suggested by.
        """
        self._start = start
        self.sweep = sweep
        self.studies = studies(sweep)
        self._records: dict[str, dict[str, Record]] = {study.name: {} for study in self.studies}
        """The records of each study's trials by their ids; those of no study are left out."""
        for record in records:
            self._keep(record)
        self._interrupted = [r for r in self.wanted() if not r.has_ended]
        self._underway: dict[Study, Underway] = {}
        self._turns = [list(group) for _, group in groupby(self.studies, lambda study: study.models)]

    @property
    def planned(self) -> int:
        """The number of trials of the whole sweep; a study whose sources have all failed has none."""
        return sum(s.trials for s in self.studies if self._waits_for_sources(s) or self._space(s) is not None)

    @property
    def complete(self) -> bool:
        """Whether every trial has ended."""
        return len(self.wanted()) == self.planned and all(r.has_ended for r in self.wanted())

    def wanted(self) -> list[Record]:
        """The records of the trials that today's sweep file asks for."""
        return [record for study in self.studies for record in self.records_of(study)]

    def running(self) -> list[Record]:
        """The records of the trials that were asked for and have not ended, as they were then."""
        waiting = {record.trial.id for record in list(self._interrupted)}
        return [r for r in self.wanted() if not r.has_ended and r.trial.id not in waiting]

    def records_of(self, study: Study) -> list[Record]:
        """The records of a study's trials."""
        # A copy: another thread may look while a trial is added.
        return list(self._records[study.name].values())

    def ask(self, has_room: Callable[[str], bool] = lambda method: True) -> Record | Wait:
        """The record of the next trial to run; from now on it is among those wanted, as running.

        Args:
            has_room: whether one more trial of a method finds room now. What a trial is doesn't depend on when it
                finds some.
        """
        for record in self._interrupted:
            if has_room(record.trial.method):
                self._interrupted.remove(record)
                return record if record.trial.model else record.of_model(self.sweep.model.each()[0])
        waits = {Wait.FOR_ROOM} if self._interrupted else set()
        for turn in self._turns:
            for study in list(turn):
                asked = self._ask(study, has_room)
                if asked is Wait.FOR_RESULTS or asked is Wait.FOR_ROOM:
                    waits.add(asked)
                    continue
                turn.remove(study)
                if isinstance(asked, Record):
                    turn.append(study)
                    self._keep(asked)
                    return asked
            if Wait.FOR_ROOM in waits:
                break  # the next model's trials would find none either, or take it from this one's
        return next((wait for wait in (Wait.FOR_ROOM, Wait.FOR_RESULTS) if wait in waits), Wait.NOTHING_LEFT)

    def tell(self, record: Record) -> None:
        """Learn how a trial ended; one whose attempt failed, and that has not ended, is the next to run again."""
        self._keep(record)
        if not record.has_ended:
            self._interrupted.append(record)
            return
        for study in self._underway:
            if study.has(record.trial):
                self._tell(study, record.trial.number)

    def _keep(self, record: Record) -> None:
        for study in self.studies:
            if study.has(record.trial):
                self._records[study.name][record.trial.id] = record

    def _ask(self, study: Study, has_room: Callable[[str], bool]) -> Record | Wait:
        if self._waits_for_sources(study):
            return Wait.FOR_RESULTS
        begun = self._underway.get(study) or self._begin(study)
        if begun is None:
            return Wait.NOTHING_LEFT
        record = self._missing(study, begun)
        if record is None and len(begun.suggestions) == study.configurations:
            return Wait.NOTHING_LEFT
        if record is None and not begun.searcher.ready:
            return Wait.FOR_RESULTS
        if not has_room(study.method):
            return Wait.FOR_ROOM
        if record is None:
            begun.suggestions.append(begun.searcher.suggest())
            record = self._missing(study, begun)
        return record or Wait.NOTHING_LEFT

    def _missing(self, study: Study, begun: Underway) -> Record | None:
        """The first trial of the numbers suggested so far that has no record."""
        recorded = {(r.trial.number, r.trial.draw, r.trial.seed) for r in self.records_of(study)}
        for number, suggestion in enumerate(begun.suggestions):
            for draw, seed in study.repeats:
                if (number, draw, seed) not in recorded:
                    sources = self._sources_of(study, suggestion)
                    trial = study.trial(number, draw, seed, suggestion, sources, self._model_of(sources))
                    return Record(trial=trial, start=self._start, started=time.time())
        return None

    def _sources_of(self, study: Study, suggestion: Params) -> tuple[str, ...]:
        """The configurations that a trial builds on."""
        if study.settings.takes == "all" and study.settings.sources():
            return self._finished_sources(study)
        return (str(suggestion[SOURCE]),) if SOURCE in suggestion else ()

    def _model_of(self, sources: tuple[str, ...]) -> Model | None:
        return next((r.trial.model for r in self.wanted() if r.trial.configuration in sources[:1]), None)

    def _sources(self, study: Study) -> list[Study]:
        """The studies that a study builds on: those of other methods on the same model."""
        return [s for s in self.studies if s.models == study.models and s.method in study.settings.sources()]

    def _waits_for_sources(self, study: Study) -> bool:
        """Whether trials that a study builds on have not ended yet."""
        return any(not self._all_ended(source) for source in self._sources(study))

    def _all_ended(self, study: Study) -> bool:
        return sum(record.has_ended for record in self.records_of(study)) == study.trials

    def _begin(self, study: Study) -> Underway | None:
        """Make a study's searcher, with the trials that there are; None if it has nothing to build on."""
        space = self._space(study)
        if space is None:
            return None
        begun = self._underway[study] = Underway(Searcher(study.name, space, self.sweep.search), [])
        recorded = {r.trial.number: study.suggestion(r.trial) for r in self.records_of(study)}
        for number in range(max(recorded, default=-1) + 1):
            self._tell(study, number)
            if number in recorded:
                begun.searcher.replay(recorded[number])
            # A record that was lost is suggested again, the same.
            begun.suggestions.append(recorded[number] if number in recorded else begun.searcher.suggest())
        return begun

    def _tell(self, study: Study, number: int) -> None:
        """Tell the searcher a number's result, once every trial of it has ended."""
        records = [r for r in self.records_of(study) if r.trial.number == number and r.has_ended]
        if len(records) == len(study.repeats):
            self._underway[study].searcher.tell(number, self._objectives(records))

    def _objectives(self, records: list[Record]) -> Objectives | None:
        """The objectives, each the mean over its trials; None if one failed."""
        if any(record.status != "finished" for record in records):
            return None
        metrics = [record.metrics() for record in records]
        return tuple(fmean(m[objective] for m in metrics) for objective in self.sweep.search.objectives)

    def _space(self, study: Study) -> Space | None:
        """The search space; of a method that builds on others, with their finished configurations as sources."""
        if not study.settings.sources():
            return study.space()
        sources, takes = self._finished_sources(study), study.settings.takes
        if not sources or takes == "all":
            return study.space() if sources else None
        kind = Grid if self.sweep.search.sampler == "grid" else Choice
        return {SOURCE: kind(sources[:1] if takes == "best" else tuple(sorted(sources)))} | study.space()

    def _finished_sources(self, study: Study) -> tuple[str, ...]:
        """The configurations that a study builds on of which every trial has finished, those with the best first
        objective first; where several can't be built on together, since their models differ, those of the best's."""
        found: dict[str, list[Record]] = {}
        for record in (r for source in self._sources(study) for r in self.records_of(source)):
            found.setdefault(record.trial.configuration, []).append(record)
        reached = {name: self._objectives(records) for name, records in sorted(found.items())}
        first = {name: objectives[0] for name, objectives in reached.items() if objectives is not None}
        ranked = sorted(first, key=lambda name: first[name], reverse=True)
        if study.settings.takes == "all":
            ranked = [name for name in ranked if found[name][0].trial.model == found[ranked[0]][0].trial.model]
        return tuple(ranked)
