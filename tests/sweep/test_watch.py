"""The watch over running trials: what has changed is passed on, and a record that stays is looked at ever later."""

from __future__ import annotations

from pathlib import Path

from upath import UPath

from fpray.records.record import Epoch, Record
from fpray.records.store import RecordStore
from fpray.search.schedule import Schedule
from fpray.sweep.watch import LATEST, Watch
from tests.search.scheduled import outcome, sweep_of

EPOCH = Epoch(
    epoch=1, step=1, lr=0.1, losses={}, validation={}, images=8, seconds=0.1, validation_seconds=0.1, ended=1.0
)
METHODS = {"zero_shot": {}, "l2": {"trials": 9}}


def test_a_record_that_stays_as_it_is_is_looked_at_later_and_later(tmp_path: Path) -> None:
    schedule, store, noted = Schedule(sweep_of(METHODS), []), RecordStore(UPath(tmp_path)), []
    watch = Watch(schedule, store, noted.append, lambda running, waits: None, lambda needs: None)
    record = schedule.ask()
    assert isinstance(record, Record)

    def seen_at(now: float) -> int:
        """Have the record go on by an epoch after the last look, and look; returns how many epochs were seen."""
        nonlocal record
        record = record.after_epoch((*record.history, EPOCH))
        store.write(record)
        watch.look(now)
        return len(noted[-1].history) if noted else 0

    watch.look(0.0)  # the process has not written yet
    assert seen_at(2.0) == 1
    assert seen_at(4.0) == 2
    for quiet in (6.0, 8.0, 12.0):
        watch.look(quiet)
    assert seen_at(13.9) == 2  # it had been as it was for 8 seconds, so the next look is 2 seconds after that
    assert seen_at(14.0) == 4
    watch.look(14.0 + 10 * LATEST)
    assert seen_at(14.0 + 11 * LATEST) == 5
    schedule.tell(outcome(record))
    assert seen_at(14.0 + 12 * LATEST) == 5  # it has ended


def test_trials_that_were_interrupted_and_wait_are_not_looked_at(tmp_path: Path) -> None:
    first = Schedule(sweep_of(METHODS), []).ask()
    assert isinstance(first, Record)
    schedule = Schedule(sweep_of(METHODS), [first])
    assert schedule.running() == []
    assert schedule.ask() == schedule.running()[0]
