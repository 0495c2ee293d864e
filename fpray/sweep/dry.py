"""A dry run: the plan of a sweep, what of it is done, and how long the rest will take."""

from __future__ import annotations

from fpray.config import Sweep
from fpray.sweep.estimate import estimate_line
from fpray.sweep.plan import plan, require_room_here, schedule_of, trials_line


def dry_run_lines(sweep: Sweep, *, here: bool) -> list[str]:
    """The lines of a dry run.

    Args:
        here: whether the sweep is to run on this machine: then its room is looked at, and its speed measured.

    Raises:
        UserError: if the sweep can't run here.
    """
    if here:
        require_room_here(sweep)
    schedule = schedule_of(sweep)
    lines = [plan(sweep), trials_line(schedule)]
    return [*lines, estimate_line(schedule)] if here and not schedule.complete else lines
