"""The watch over the records of the trials that run."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fpray.config import Needs
from fpray.records import DamagedRecordError, Record, RecordStore
from fpray.search import Schedule

SOONEST, LATEST = 2.0, 30.0
"""Seconds after which a running trial's record is looked at again, where it has just changed and at most."""


@dataclass
class _Seen:
    """A running trial's record as it was last seen, the moment since when it is so, and the one of the next look."""

    record: Record | None
    since: float
    next_look: float


class Watch(threading.Thread):
    """Looks at the records of the running trials, and passes on those that have changed.

    Each look may be a request that somebody pays for: the longer a record has stayed as it is, the later is the next.
    """

    def __init__(
        self,
        schedule: Schedule,
        store: RecordStore,
        note: Callable[[Record], None],
        show: Callable[[list[Record], str | None], None],
        waiting: Callable[[Sequence[Needs]], str | None],
    ) -> None:
        """
        Args:
            note: told each record that has changed.
            show: shown the records of the running trials, and what some of them wait for.
            waiting: says what trials with these needs, which have begun, wait for.
        """
        super().__init__(name="watch", daemon=True)
        self._schedule, self._store, self._note, self._show = schedule, store, note, show
        self._waiting = waiting
        self._seen: dict[str, _Seen] = {}
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(SOONEST):
            self.look(time.monotonic())

    def look(self, now: float) -> None:
        """Look at the records whose turn it is.

        Args:
            now: seconds of a clock that only goes forward.
        """
        running = [record.trial.id for record in self._schedule.running()]
        self._seen = {trial_id: self._seen.get(trial_id) or _Seen(None, now, now) for trial_id in running}
        for trial_id, seen in self._seen.items():
            if seen.next_look <= now:
                self._look_at(trial_id, seen, now)
        records = [seen.record for seen in self._seen.values() if seen.record is not None]
        needs = [self._schedule.sweep.resources_of(record.trial.method) for record in self._schedule.running()]
        self._show([record for record in records if not record.has_ended], self._waiting(needs))

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def _look_at(self, trial_id: str, seen: _Seen, now: float) -> None:
        # Where the storage is away for a moment, the next look will tell.
        with contextlib.suppress(OSError, DamagedRecordError):
            record, before = self._store.read(trial_id), seen.record
            if not record.has_ended and (before is None or len(before.history) != len(record.history)):
                self._note(record)
                seen.since = now
            seen.record = record
        seen.next_look = now + min((now - seen.since) / 4, LATEST)
