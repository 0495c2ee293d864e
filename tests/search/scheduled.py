"""What drives a schedule in tests: made-up results, and an executor that may be killed after any event."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from fpray.config.schema import Sweep
from fpray.records.record import Count, Record
from fpray.search.schedule import Schedule, Wait
from fpray.space import Params

METHODS: dict[str, Any] = {
    "zero_shot": {},
    "full": {"trials": 18},
    "l2": {"trials": 3},
    "wise_ft": {"of": ["full", "l2"], "trials": 3},
}


def sweep_of(
    methods: dict[str, Any] = METHODS, seeds: Iterable[int] = (0,), model: Any = "drawnet-s", **search: Any
) -> Sweep:
    return Sweep.model_validate(
        {
            "name": "any",
            "methods": methods,
            "model": {"name": model},
            "train": {"seeds": tuple(seeds)},
            "search": {"lag": 2} | search,
        }
    )


def outcome(record: Record) -> Record:
    """How a trial ends: a formula of its configuration, so that it ends the same whenever it runs."""
    trial = record.trial
    if trial.method == "full" and trial.number in (1, 7):
        return record.failed("NaN")
    noise = zlib.crc32(f"{sorted(trial.params.items())} {trial.seed} {trial.model}".encode())
    counts = {"id/val": noise % 997, "ood/a/val": noise % 787, "ood/b/val": noise % 691, "id/test": noise % 500}
    return record.finished(results={s: Count(correct=c, total=1000) for s, c in counts.items()})


class Run:
    """A sweep as an executor drives it, some trials at a time; what a crash leaves is in `stored`."""

    def __init__(self, sweep: Sweep, stored: Iterable[Record] = (), order: int = 0, at_once: int = 4) -> None:
        # What was written is read again, as after a crash.
        self.stored = {r.trial.id: Record.model_validate_json(r.model_dump_json()) for r in stored}
        self.schedule = Schedule(sweep, self.stored.values())
        self.order, self.at_once = random.Random(order), at_once
        self.begun: list[Record] = []

    def events(self) -> Iterator[None]:
        """Begin a trial or end one, in random order, until there is nothing left."""
        running: list[Record] = []
        while True:
            may_begin = len(running) < self.at_once and (not running or self.order.random() < 0.6)
            next_one = self.schedule.ask() if may_begin else None
            if isinstance(next_one, Record):
                assert next_one.trial.id not in {r.trial.id for r in running}
                running.append(next_one)
                self.begun.append(next_one)
                self.stored[next_one.trial.id] = next_one
            elif running:
                ended = outcome(running.pop(self.order.randrange(len(running))))
                self.stored[ended.trial.id] = ended
                self.schedule.tell(ended)
            else:
                assert next_one is Wait.NOTHING_LEFT
                return
            yield

    def to_the_end(self) -> Run:
        for _ in self.events():
            pass
        return self

    def for_events(self, count: int) -> Run:
        for _ in zip(range(count), self.events(), strict=False):
            pass
        return self

    @property
    def ids(self) -> list[str]:
        return [record.trial.id for record in self.begun]

    @property
    def params(self) -> dict[str, Params]:
        """The suggestion that each trial was made from."""
        studies = self.schedule.studies
        trials = [record.trial for _, record in sorted(self.stored.items())]
        return {t.id: next((s.suggestion(t) for s in studies if s.has(t)), t.params) for t in trials}


def finished_at(record: Record, right: int, ood_right: int) -> Record:
    counts = {"id/val": Count(correct=right, total=100), "ood/a/val": Count(correct=ood_right, total=100)}
    return record.finished(results=counts)
