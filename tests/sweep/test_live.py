"""The live view: what is done, what runs and what is left, in any terminal."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from fpray.records.record import Epoch, Record
from fpray.search.schedule import Schedule
from fpray.sweep.live import LiveView
from tests.search.scheduled import outcome, sweep_of

EPOCH = Epoch(
    epoch=1, step=1, lr=0.1, losses={"cross_entropy": 0.5}, validation={}, images=800, seconds=1.0,
    validation_seconds=0.1, ended=1.0,
)  # fmt: skip
METHODS = {"zero_shot": {}, "full": {"trials": 4}, "l2": {"trials": 4}, "wise_ft": {"of": "full", "trials": 8}}


def view(ends: int = 5, **sections: object) -> LiveView:
    """The view of a sweep in the middle: some trials have ended and two run."""
    schedule = Schedule(sweep_of(METHODS, **sections), [])
    for _ in range(ends):
        record = schedule.ask()
        assert isinstance(record, Record)
        schedule.tell(outcome(record))
    running = [record for record in (schedule.ask(), schedule.ask()) if isinstance(record, Record)]
    return LiveView(schedule, [record.after_epoch((EPOCH,)) for record in running], 83.0, 125.0, None)


def shown(live: LiveView, width: int, height: int) -> list[str]:
    console = Console(file=StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    console.print(live)
    return console.file.getvalue().splitlines()


def test_it_says_what_is_done_runs_and_is_left() -> None:
    lines = shown(view(), 120, 40)
    assert lines[0].split() == ["zero_shot", "█" * 20, "1/1", "done"]
    (full,) = [line for line in lines if line.startswith("full ")]
    assert "2/4 done" in full and "1 failed" in full
    assert any(line.endswith("epoch 1/10  cross_entropy 0.5  800 images/s") for line in lines)
    assert any(line.startswith("best val ID so far: ") and " OOD " in line for line in lines)
    assert lines[-1] == "5 of 17 trials done, 1 min 23 s so far, about 2 min 5 s left"


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 24), (80, 10), (120, 40)])
def test_it_fits_the_terminal(width: int, height: int) -> None:
    live = view(3, model=["small", "large/model-with-a-very-long-name", "another", "one-more"])
    live.waits = "waiting for nodes: 2 node(s) asked for"
    lines = shown(live, width, height)
    assert len(lines) < height
    assert max(map(len, lines)) <= width
    assert any("trials done" in line for line in lines)
    if height == 10:
        assert any(line.startswith("and ") and line.endswith(" more") for line in lines)


def test_at_first_there_is_nothing_to_tell() -> None:
    schedule = Schedule(sweep_of(METHODS), [])
    assert shown(LiveView(schedule, [], 0.0, None, None), 80, 24)[-1] == (
        "0 of 17 trials done, 0 s so far, time left not known yet"
    )
