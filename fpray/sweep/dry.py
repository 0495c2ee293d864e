"""A dry run: the plan of a sweep, what of it is done, and how long the rest will take."""

from __future__ import annotations

from fpray.config import Sweep
from fpray.data import open_dataset
from fpray.sweep.disk import weights_line
from fpray.sweep.estimate import estimate_line
from fpray.sweep.plan import plan, require_room_here, schedule_of, trials_line
from fpray.sweep.preflight import preflight


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
    if not here or schedule.complete:
        return lines
    weights = preflight(sweep, open_dataset(sweep.data).classes)
    return [*lines, weights_line(sweep, weights), estimate_line(schedule)]
