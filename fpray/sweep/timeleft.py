"""The time that a sweep still takes, from the epochs that are done and how long trials took."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from itertools import chain, zip_longest
from statistics import fmean, median

from fpray.methods import METHODS, TrainedMethod
from fpray.records import Record
from fpray.search import Study


class TimeLeft:
    """An estimate that moves with every epoch, and between two of them with the clock.

    A trial is taken to last as long as the others of its study did, or as its own epochs do; one of a study of which
    nothing is known as long as the others that train, or don't. What trials take beside is counted as the median of
    those that found a process waiting. The trials that are left are given in turn to whatever runs a trial and is free
    first.
    """

    def __init__(self, studies: Sequence[Study], epochs: int, began: float) -> None:
        """
        Args:
            epochs: of a trial that trains, where its method doesn't search them.
            began: when this command began to run trials, in seconds of Unix time.
        """
        self._studies, self._epochs, self._began = studies, epochs, began

    def __call__(self, records: Sequence[Record], now: float, at_once: int) -> float | None:
        """The seconds that are left; None while nothing is known.

        Args:
            records: of all trials that have begun, as far as they are at `now`, in Unix time.
            at_once: how many trials run at a time.
        """
        of_study = {study: [r for r in records if study.has(r.trial)] for study in self._studies}
        seconds = self.lasting(records)
        if not seconds:
            return None
        free = [
            self._rest(record, study, seconds[study], now)
            for study, own in of_study.items()
            for record in own
            if not record.has_ended
        ]
        free += [0.0] * max(0, at_once - len(free))
        heapq.heapify(free)
        for study in self._in_turn({study: study.trials - len(own) for study, own in of_study.items()}):
            heapq.heapreplace(free, free[0] + seconds[study])
        return max(free, default=0.0)

    def lasting(self, records: Sequence[Record]) -> dict[Study, float]:
        """The seconds that a trial of each study lasts; empty while that is known of none."""
        known: dict[Study, float] = {}
        for study in self._studies:
            own = [record for record in records if study.has(record.trial)]
            lasted = [record.cost.seconds for record in own if record.cost is not None]
            epochs = [epoch.seconds + epoch.validation_seconds for record in own for epoch in record.history]
            if lasted or epochs:
                known[study] = fmean(lasted) if lasted else (fmean(study.epochs(self._epochs)) + 1) * fmean(epochs)
        if not known:
            return {}
        alike = {kind: [s for study, s in known.items() if _trains(study) is kind] for kind in (True, False)}
        every, beside = list(known.values()), self._beside(records)
        return {study: known.get(study, fmean(alike[_trains(study)] or every)) + beside for study in self._studies}

    def _beside(self, records: Sequence[Record]) -> float:
        """The seconds between a trial's begin and end that are not in its cost, where this command ran all of it.

        Those that began before any had ended don't count: they had processes that were just starting.
        """
        here = [record for record in records if record.started >= self._began]
        warm = min((record.ended for record in here if record.ended is not None), default=math.inf)
        beside = [
            record.ended - record.started - record.cost.seconds
            for record in here
            if record.cost is not None and record.ended is not None
            if record.attempt <= 1 and record.started >= warm
        ]
        return median(beside) if beside else 0.0

    def _rest(self, record: Record, study: Study, seconds: float, now: float) -> float:
        """The seconds that a running trial still takes."""
        # The final evaluation is about one more epoch.
        parts = record.trial.epochs(self._epochs) + 1 if _trains(study) else 1
        since = max(record.history[-1].ended if record.history else record.started, self._began)
        part = seconds / parts
        return seconds - len(record.history) * part - min(part, now - since)

    def _in_turn(self, left: Mapping[Study, int]) -> list[Study]:
        """The trials that are left, by their studies, as they are begun: those that build on others at the end."""
        first = [[study] * left[study] for study in self._studies if not study.settings.sources()]
        last = [[study] * left[study] for study in self._studies if study.settings.sources()]
        turns = chain(zip_longest(*first), zip_longest(*last))
        return [study for turn in turns for study in turn if study is not None]


def _trains(study: Study) -> bool:
    return issubclass(METHODS[study.method], TrainedMethod)
