"""The estimate of a dry run: by what is left, and by what each method's trials do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fpray.execution.room import Node, Room
from fpray.records.record import Record
from fpray.search.schedule import Schedule
from fpray.sweep import estimate as module
from fpray.sweep.estimate import estimate_line
from fpray.training import Speed
from tests.sweeps import sweep_of

SIZES = {"id/train": 100, "id/val": 10, "id/test": 20, "ood/a/val": 10, "ood/a/test": 20}


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes and speeds as above; room for two trials."""
    monkeypatch.setattr(module, "_sizes", lambda sweep: SIZES)
    monkeypatch.setattr(module, "_speed", lambda study, sweep: Speed(training=0.1, evaluation=0.05))
    monkeypatch.setattr(module, "room_here", lambda: Room((Node("this machine", 2, 0),)))


def test_it_is_of_the_trials_that_are_left(record_of: Callable[..., Record]) -> None:
    sweep = sweep_of(methods={"zero_shot": None, "full": {"trials": 4}}, train={"epochs": 10, "alphas": 5})
    # A trial of full: 10 epochs of 100 images, 9 validations of 20 and 3 between its curve's ends, and 60 images in the
    # end; zero-shot only those.
    full, zero_shot = 10 * 100 * 0.1 + (9 + 3) * 20 * 0.05 + 60 * 0.05, 60 * 0.05
    assert (full, zero_shot) == (115, 3)
    assert estimate_line(Schedule(sweep, [])).startswith("about 3 min 52 s on this machine, 2 trial(s) at a time")
    done = [record_of(f"full-00{n}", status="failed", error="no") for n in range(3)]
    assert estimate_line(Schedule(sweep, done)).startswith("about 59 s on this machine")
