"""Progress: in a log each event is a line with its time; on a terminal there is a view that is live."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import StringIO

import pytest
from rich.console import Console

from fpray.config.schema import Sweep
from fpray.records.record import Epoch, Record
from fpray.search.schedule import Schedule
from fpray.sweep import progress as module
from fpray.sweep.events import Events
from fpray.sweep.progress import Progress
from tests.search.scheduled import outcome, sweep_of

METHODS = {"zero_shot": {}, "l2": {"trials": 9}}
STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d "


def log() -> Console:
    return Console(file=StringIO(), width=160)


def terminal() -> Console:
    return Console(file=StringIO(), width=80, height=24, force_terminal=True, color_system=None)


def lines_of(console: Console) -> list[str]:
    """What was said, without the time stamps, of which each line has one."""
    lines = console.file.getvalue().splitlines()
    assert all(re.match(STAMP, line) for line in lines), lines
    return [re.sub(STAMP, "", line) for line in lines]


def told(sweep: Sweep, ends: int) -> list[str]:
    """What is told of the first trials of a sweep."""
    schedule, console = Schedule(sweep, []), log()
    with Progress(schedule, Events(console)) as progress:
        for _ in range(ends):
            record = schedule.ask()
            assert isinstance(record, Record)
            schedule.tell(outcome(record))
            progress.show_change(outcome(record))
    return lines_of(console)


def test_each_end_is_a_line_and_every_tenth_sums_up() -> None:
    lines = told(sweep_of(METHODS | {"full": {"trials": 1}}), 10)
    assert len(lines) == 13
    assert lines[0].startswith("[ 1/11] zero_shot-000    val ID ")
    assert lines[10].startswith("best val ID so far: ")
    assert lines[11].startswith("best val OOD so far: ")
    assert lines[12] == "time left not known yet"  # their records say nothing of how long they took


def test_other_objectives_are_told_by_their_names() -> None:
    lines = told(sweep_of(METHODS, objectives=["ood/a/val/top1", "id/val/top1"]), 10)
    assert re.match(r"\[ 1/10\] zero_shot-000    val ood/a/val +[\d.]+  ID +[\d.]+", lines[0])
    assert lines[-3].startswith("best val ood/a/val so far: ")


def epochs(number: int) -> tuple[Epoch, ...]:
    one = Epoch(
        epoch=1, step=1, lr=0.1, losses={}, validation={}, images=8, seconds=1.0, validation_seconds=0.1, ended=1.0
    )
    return tuple(one.model_copy(update={"epoch": n + 1}) for n in range(number))


def test_epochs_are_lines_that_don_t_come_too_often(
    monkeypatch: pytest.MonkeyPatch, record_of: Callable[..., Record]
) -> None:
    console, now = log(), [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    with Progress(Schedule(sweep_of(METHODS), []), Events(console)) as progress:
        for moment, number in ((0, 0), (1, 1), (10, 2), (29, 3), (31, 4), (70, 4), (100, 5)):
            now[0] = 1000.0 + moment
            progress.show_running([record_of("l2-000", history=epochs(number))], None)
    assert lines_of(console) == [f"l2-000 epoch {n}/10  8 images/s" for n in (1, 4, 5)]


def test_what_trials_wait_for_is_told_when_it_changes() -> None:
    console = log()
    with Progress(Schedule(sweep_of(METHODS), []), Events(console)) as progress:
        for waits in ("waiting for nodes: 1", "waiting for nodes: 1", None, None):
            progress.show_running([], waits)
    assert lines_of(console) == ["waiting for nodes: 1", "no trial waits for a node any more"]


def test_a_terminal_has_lines_without_stamps_above_a_live_view() -> None:
    schedule, console = Schedule(sweep_of(METHODS), []), terminal()
    with Progress(schedule, Events(console)) as progress:
        record = schedule.ask()
        assert isinstance(record, Record)
        progress.show_running([record], None)
        schedule.tell(outcome(record))
        progress.show_change(outcome(record))
    shown = console.file.getvalue()
    assert "[ 1/10] zero_shot-000    val ID" in shown
    assert "1 of 10 trials done" in shown
    assert not re.search(STAMP, shown)
