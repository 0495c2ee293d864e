from __future__ import annotations

from io import StringIO

from rich.console import Console
from scheduled import outcome, sweep_of

from fpray.config import Sweep
from fpray.progress import Progress
from fpray.records import Cost, Record
from fpray.schedule import Schedule

METHODS = {"zero_shot": {}, "l2": {"trials": 9}}


def told(sweep: Sweep, seconds: dict[str, float], ends: int) -> list[str]:
    """What is told of the first trials of a sweep, two at once, of which each takes its method's `seconds`."""
    schedule, console = Schedule(sweep, []), Console(file=StringIO(), width=160)
    with Progress(schedule, 2, 10, console) as progress:
        for _ in range(ends):
            record = schedule.next()
            assert isinstance(record, Record)
            cost = Cost(seconds=seconds[record.trial.id.rpartition("-")[0]], images=0, images_per_second=0)
            record = outcome(record).model_copy(update={"cost": cost})
            schedule.ended(record)
            progress.ended(record)
    return console.file.getvalue().splitlines()


def test_each_end_is_a_line_and_every_tenth_tells_the_time_left() -> None:
    lines = told(sweep_of(METHODS | {"full": {"trials": 1}}), {"zero_shot": 1, "l2": 600, "full": 6}, 10)
    assert len(lines) == 11
    assert lines[0].startswith("[ 1/11] zero_shot-000    ID ")
    assert lines[-1].startswith("best ID so far ")
    assert lines[-1].endswith("about 5 min 0 s left")  # one trial of l2, of which two run at once


def test_models_have_times_of_their_own() -> None:
    sweep = sweep_of(METHODS, model=["small", "large/model"], lag=9)
    seconds = {"zero_shot-small": 2, "l2-small": 60, "zero_shot-model": 20, "l2-model": 240}
    lines = told(sweep, seconds, 20)
    assert lines[0].startswith("[ 1/20] zero_shot-small-000 ID ")
    # Nothing is known of the large model yet: its ten trials are taken to be like the ten before, 542 seconds.
    assert lines[10].endswith("about 4 min 31 s left")
    assert lines[-1].endswith("about 0 s left")
