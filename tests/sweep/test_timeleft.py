"""The time left: in a simulated sweep of two slots it is right within a quarter from a quarter of the time on."""

from __future__ import annotations

import heapq
from itertools import count

import pytest

from fpray.records.record import Cost, Count, Epoch, Record
from fpray.search.schedule import Schedule
from fpray.sweep.timeleft import TimeLeft
from tests.search.scheduled import sweep_of

EPOCHS = 10
COUNTS = {split: Count(correct=1, total=2) for split in ("id/val", "ood/a/val", "id/test", "ood/a/test")}
BEGAN = 1e9
METHODS = {"zero_shot": {}, "full": {"trials": 9}, "l2": {"trials": 9}, "wise_ft": {"of": "full", "trials": 8}}
SECONDS = {"zero_shot": 3.0, "full": 60.0, "l2": 100.0, "wise_ft": 12.0}


def at(record: Record, started: float, seconds: float, now: float) -> Record:
    """The record of a trial at `now`, which takes so long; what is not in its cost comes before its first epoch."""
    trains = record.trial.method not in ("zero_shot", "wise_ft")
    own = SECONDS[record.trial.method]
    step = own / (EPOCHS + 1)
    ends = [started + seconds - own + (n + 1) * step for n in range(EPOCHS if trains else 0)]
    history = tuple(
        Epoch(
            epoch=n + 1, step=n, lr=0.1, losses={}, validation={}, images=8, seconds=0.8 * step,
            validation_seconds=0.2 * step, ended=end,
        )
        for n, end in enumerate(ends)
        if end <= now
    )  # fmt: skip
    record = record.model_copy(update={"history": history, "started": started})
    if started + seconds > now:
        return record
    cost = Cost(seconds=own, images=8, images_per_second=1.0)
    return record.finished(results=COUNTS, cost=cost).model_copy(update={"ended": started + seconds})


def simulated(beside: float, start: float = 0.0) -> tuple[list[tuple[Record, float, float]], Schedule]:
    """Each trial with its start and how long it took, two at a time, of which the first wait for their process."""
    schedule, ran, ends, order = Schedule(sweep_of(METHODS, lag=9), []), [], [], count()
    now = BEGAN
    while True:
        while len(ends) < 2 and isinstance(record := schedule.ask(), Record):
            seconds = SECONDS[record.trial.method] + beside + (start if len(ran) < 2 else 0.0)
            ran.append((record, now, seconds))
            heapq.heappush(ends, (now + seconds, next(order), record, now, seconds))
        if not ends:
            return ran, schedule
        now, _, record, started, seconds = heapq.heappop(ends)
        schedule.tell(at(record, started, seconds, now))


@pytest.mark.parametrize(("beside", "start"), [(0.0, 0.0), (5.0, 0.0), (0.0, 30.0)])
def test_it_is_right_within_a_quarter(beside: float, start: float) -> None:
    ran, schedule = simulated(beside, start)
    whole = max(started + seconds for _, started, seconds in ran) - BEGAN
    left = TimeLeft(schedule.studies, EPOCHS, BEGAN)
    errors = []
    for share in (0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8):
        now = BEGAN + share * whole
        estimate = left([at(r, started, s, now) for r, started, s in ran if started <= now], now, 2)
        assert estimate is not None
        errors.append(abs(estimate / ((1 - share) * whole) - 1))
    assert max(errors) < 0.25, errors


def test_what_the_first_trials_wait_for_their_processes_the_others_do_not() -> None:
    ran, schedule = simulated(0.0, start=30.0)
    whole = max(started + seconds for _, started, seconds in ran) - BEGAN
    left = TimeLeft(schedule.studies, EPOCHS, BEGAN)
    now = BEGAN + 60.0  # the zero-shot trial alone has ended, of which all but a tenth was waiting
    estimate = left([at(r, started, s, now) for r, started, s in ran if started <= now], now, 2)
    assert estimate == pytest.approx(whole - 60, rel=0.25)


def test_it_moves_between_two_epochs() -> None:
    ran, schedule = simulated(0.0)
    left = TimeLeft(schedule.studies, EPOCHS, BEGAN)
    now = BEGAN + 20.5
    seen = [at(record, started, seconds, now) for record, started, seconds in ran if started <= now]
    earlier, later = left(seen, now, 2), left(seen, now + 1.0, 2)
    assert earlier is not None and later is not None and 0 < later < earlier


def test_nothing_is_known_at_first() -> None:
    ran, schedule = simulated(0.0)
    left = TimeLeft(schedule.studies, EPOCHS, BEGAN + 1e6)
    assert left([], BEGAN + 1e6, 2) is None


def test_a_sweep_that_is_complete_takes_no_more() -> None:
    ran, schedule = simulated(0.0)
    left = TimeLeft(schedule.studies, EPOCHS, BEGAN)
    assert left([at(record, started, s, BEGAN + 1e5) for record, started, s in ran], BEGAN + 1e5, 2) == 0
