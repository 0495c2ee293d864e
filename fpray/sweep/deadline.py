"""The hours that a command may take: no trial begins that would end after them."""

from __future__ import annotations

import math
import time

from fpray.search import Schedule
from fpray.sweep.timeleft import TimeLeft

EXIT_CODE = 3
"""The sweep is not complete, since the hours are over; the same command goes on."""


class Deadline:
    """When a command is to end. A trial is taken to last as long as those of its method did so far."""

    def __init__(self, schedule: Schedule, hours: float) -> None:
        self._schedule = schedule
        self._at = time.time() + 3600 * hours
        self._time_left = TimeLeft(schedule.studies, schedule.sweep.train.epochs, time.time())
        self.held_back = False
        """Whether a trial was not begun for it."""

    def fits(self, method: str) -> bool:
        """Whether one more trial of a method would end in time, as far as is known."""
        if math.isinf(self._at):  # asked each time that a trial may begin
            return True
        lasting = self._time_left.lasting(self._schedule.wanted())
        seconds = max((s for study, s in lasting.items() if study.method == method), default=0.0)
        fits = time.time() + seconds <= self._at
        self.held_back |= not fits
        return fits
