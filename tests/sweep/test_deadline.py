"""The deadline: a trial begins only if those of its method ended in the time that is left."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from fpray.records.record import Cost, Record
from fpray.search.schedule import Schedule
from fpray.sweep.deadline import Deadline
from tests.sweeps import sweep_of


@pytest.mark.parametrize(("hours", "fits"), [(0.9, False), (1.1, True), (float("inf"), True)])
def test_what_is_known_to_last_an_hour(hours: float, fits: bool, record_of: Callable[..., Record]) -> None:
    cost = Cost(seconds=3600, images=1, images_per_second=1)
    records = [record_of("full-000", status="finished", cost=cost, ended=2.0, attempt=1)]
    deadline = Deadline(Schedule(sweep_of(methods={"full": None, "zero_shot": None}), records), hours)
    assert deadline.fits("full") is fits
    assert deadline.held_back is not fits


def test_of_what_nothing_is_known_may_begin_until_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    deadline = Deadline(Schedule(sweep_of(), []), 1)
    assert deadline.fits("full")
    monkeypatch.setattr(time, "time", lambda: now + 3601)
    assert not deadline.fits("full")
