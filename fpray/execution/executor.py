"""The executor: Ray Tune runs the trials of a schedule, several at a time."""

from __future__ import annotations

import logging
import math
import os
import tempfile
import time
from collections.abc import Callable
from typing import Any

from ray import tune
from ray.tune.search import Searcher

from fpray.config import Needs
from fpray.errors import UserError
from fpray.execution.actor import STOPPED, STORAGE_ERROR, trainable
from fpray.execution.growth import ACCELERATOR
from fpray.execution.own import wait_until_readied
from fpray.execution.ray_internals import HEAD, servers_started_here
from fpray.execution.room import Room
from fpray.execution.tune_internals import (
    KeepProcesses,
    QuietReporter,
    hand_no_environment_on,
    keep_credentials_from_logs,
    killed_for_memory,
)
from fpray.records import LostHoldError, Record, SupersededError, SweepFolder
from fpray.search import AskAndTell, Wait
from fpray.storage import StorageError
from fpray.training import Work, run_trial

# Tune's newer console prints tables that no setting turns off; progress is ours to tell (see `QuietReporter` too).
os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
# Tune's own loggers write files that nobody reads, one of them from a thread that outlives the folder they are in.
os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
# All trials for which there is room are asked for at once: a cluster starts nodes for those that wait.
os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = "100000"
# That no trial runs while nodes start is told by our own progress.
os.environ["TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S"] = "1e9"
os.environ["TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S_AUTOSCALER"] = "1e9"
# Why a trial's process died is in its record; Tune would print a traceback of Ray's.
os.environ["TUNE_PRINT_ALL_TRIAL_ERRORS"] = "0"
# It says of a trial whose process died that it "did not complete", of one too that was tried again and has finished.
logging.getLogger("ray.tune.tune").setLevel(logging.CRITICAL)
# Ctrl-C is the sweep's to take, see `fpray.sweep.interrupt`.
os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"


ASK_EVERY = 0.5
"""Seconds between two looks whether a trial may begin that may not now, while none ends."""
KEPT_SECONDS = 60.0
"""How long a process is kept for a trial to come: somewhat longer than it takes to start one."""
LACKED_MEMORY = (
    "Ray ended the trial's process, since its node was running out of memory: lower resources.concurrency or "
    "train.batch_size, raise train.accumulate, or set train.gradient_checkpointing to true"
)


def execute(
    schedule: AskAndTell,
    folder: SweepFolder,
    *,
    room: Callable[[], Room],
    on_change: Callable[[Record], None] = lambda record: None,
    may_go_on: Callable[[], bool] = lambda: True,
    may_begin: Callable[[str], bool] = lambda method: True,
    settle: Callable[[], None] = lambda: None,
    work: Work = run_trial,
) -> None:
    """Run every trial that the schedule asks for, as many at a time as there is room for.

    Args:
        room: what there is room for now.
        on_change: called in this process with the record of each trial that has ended, or whose attempt has failed and
            that is tried again.
        may_go_on: whether further trials may begin.
        may_begin: whether one more trial of a method may begin.
        settle: returns when Ray is well; called before an attempt that did not end its trial is judged.
        work: runs a trial.

    Raises:
        OSError: if a trial's files can't be read or written, which is not the trial's fault.
        LostHoldError, UserError: if `may_go_on` raises it.
    """
    sweep = schedule.sweep
    packed = {method: sweep.trial_settings(method).packed() for method in sweep.methods}
    requests = {method: _request(sweep.resources_of(method)) for method in sweep.methods}
    searcher = _ScheduleSearcher(schedule, folder, room, on_change, may_go_on, may_begin, settle)
    if servers_started_here():
        wait_until_readied(may_go_on)
        hand_no_environment_on()
    else:
        keep_credentials_from_logs()
    # Else Tune itself would run the attempt again, by the same number, when its node was taken away by notice.
    os.environ["RAY_TRAIN_COUNT_PREEMPTION_AS_FAILURE"] = "1"
    with tempfile.TemporaryDirectory(prefix="fpray-tune-") as scratch, killed_for_memory(searcher.lack_memory):
        tune.Tuner(
            tune.with_resources(
                trainable(packed, folder, work), lambda config: requests[config["record"]["trial"]["method"]]
            ),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=KeepProcesses(searcher.to_come),
                num_samples=-1,  # as many as are suggested: those whose attempt failed are suggested again
                reuse_actors=True,
            ),
            # Tune keeps nothing that we need: the records are the truth.
            run_config=tune.RunConfig(
                storage_path=scratch,
                name="sweep",
                verbose=0,
                callbacks=[QuietReporter(), _Starts(searcher)],
                stop=_StopAll(searcher),
            ),
        ).fit()
    if searcher.problem is not None:
        raise searcher.problem


class _ScheduleSearcher(Searcher):
    """Suggests the schedule's trials to Tune, and tells the schedule how they ended."""

    def __init__(
        self,
        schedule: AskAndTell,
        folder: SweepFolder,
        room: Callable[[], Room],
        on_change: Callable[[Record], None],
        may_go_on: Callable[[], bool],
        may_begin: Callable[[str], bool],
        settle: Callable[[], None],
    ) -> None:
        super().__init__()
        self._schedule, self._folder, self._store, self._room = schedule, folder, folder.records, room
        self._on_change, self._may_go_on, self._may_begin, self._settle = on_change, may_go_on, may_begin, settle
        self._needs: dict[str, Needs] = {m: schedule.sweep.resources_of(m) for m in schedule.sweep.methods}
        self._running: dict[str, Record] = {}
        """The trials that have begun, by Tune's ids; some may wait for a node."""
        self.started: set[str] = set()
        """Those of them that have a process."""
        self._wait: Wait | None = None
        """Why no trial could begin, when one was asked for last."""
        self._ask_again = -math.inf
        """When a trial may be asked for again, in seconds of the clock: Tune asks some ten times a second."""
        self._ended = -math.inf
        """When a trial's process was left last, in seconds of the clock."""
        self._lacked_room = False
        """Whether a trial was not begun for want of room, when one was asked for last."""
        self._lacked_memory = False
        """Whether the process of the trial that ends next was killed for want of memory."""
        self._stopped = False
        """Whether a trial has stopped because it was asked to."""
        self.no_more = False
        """Whether no further trial begins, since the sweep is interrupted."""
        self.problem: OSError | LostHoldError | UserError | None = None
        """The error that ends the sweep. Kept here: Tune wraps what its searcher raises, and goes on calling it."""

    # Tune's own annotation leaves out FINISHED, which is a string.
    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        if time.monotonic() < self._ask_again:
            return None
        try:
            suggested = self._suggest(trial_id)
        except (OSError, LostHoldError, UserError) as problem:
            self.problem = problem
            return Searcher.FINISHED
        if suggested is None:
            self._ask_again = time.monotonic() + ASK_EVERY
        return suggested

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        self._ended, self._ask_again = time.monotonic(), -math.inf
        claimed = self._running.pop(trial_id)
        self.started.discard(trial_id)
        lacked_memory, self._lacked_memory = self._lacked_memory, False
        try:
            if self.problem is None:
                self._complete(claimed, result or {}, lacked_memory)
        except (OSError, LostHoldError, UserError) as problem:
            self.problem = problem

    def _suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        self.no_more = self.problem is not None or self._stopped or not self._may_go_on()
        if self.no_more:
            return Searcher.FINISHED
        self._lacked_room = False
        asked = self._schedule.ask(self._has_room)
        self._wait = asked if isinstance(asked, Wait) else None
        if isinstance(asked, Wait):
            # While a trial runs its attempt may fail, and the trial be suggested again.
            none_may_begin = asked is Wait.FOR_ROOM and not self._lacked_room
            return Searcher.FINISHED if (asked is Wait.NOTHING_LEFT or none_may_begin) and not self._running else None
        record = self._store.claim(asked, self._may_go_on)
        if record.has_ended:
            self._change(record)
            return self._suggest(trial_id)
        self._running[trial_id] = record
        return {"record": record.model_dump(mode="json")}

    def lack_memory(self) -> None:
        """The process of the trial that ends next was killed for want of memory."""
        self._lacked_memory = True

    def to_come(self) -> int:
        """How many trials wait for others' results, which may come soon."""
        soon = time.monotonic() < self._ended + KEPT_SECONDS
        return self._schedule.planned - len(self._schedule.wanted()) if soon and self._wait is Wait.FOR_RESULTS else 0

    def _has_room(self, method: str) -> bool:
        """Whether one more trial of a method may begin, and runs beside those that have begun."""
        if not self._may_begin(method):
            return False
        begun = [self._needs[record.trial.method] for record in self._running.values()]
        has_room = self._room().holds([*begun, self._needs[method]])
        self._lacked_room |= not has_room
        return has_room

    def _complete(self, claimed: Record, result: dict[str, Any], lacked_memory: bool) -> None:
        """Find out how a trial's process left its trial."""
        if STORAGE_ERROR in result:
            raise StorageError(*result[STORAGE_ERROR])
        self._stopped |= STOPPED in result
        record = self._store.now(claimed)
        if not record.has_ended:
            self._settle()
            if self._stopped or not self._may_go_on():
                self._schedule.tell(record)  # it stopped because it was asked to
                return
            record = record.with_error(LACKED_MEMORY) if lacked_memory else record
            record = record.attempt_failed(self._schedule.sweep.resources.max_failures)
            if record.has_ended:
                self._write(record, claimed)
        if record.status == "finished":
            self._store.remove_checkpoints(record.trial.id)
        self._change(record)

    def _write(self, record: Record, claimed: Record) -> None:
        try:
            self._folder.attempt(claimed).write(record)
        except SupersededError:
            raise LostHoldError(f"another command has begun {record.trial.id} again, so it runs this sweep") from None

    def _change(self, record: Record) -> None:
        self._schedule.tell(record)
        self._on_change(record)

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its searcher for a restore, and a sweep is resumed from its records instead."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing, see `__getstate__`."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, see `__getstate__`."""


class _Starts(tune.Callback):
    """Notes which trials have a process, and no longer wait for a node."""

    def __init__(self, searcher: _ScheduleSearcher) -> None:
        self._searcher = searcher

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._searcher.started.add(trial.trial_id)


class _StopAll(tune.Stopper):
    """Ends the trials that run when the sweep can't go on, and those that wait for a node when it is interrupted."""

    def __init__(self, searcher: _ScheduleSearcher) -> None:
        self._searcher = searcher

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        searcher = self._searcher
        return searcher.problem is not None or (searcher.no_more and not searcher.started)


def _request(needs: Needs) -> tune.PlacementGroupFactory:
    """What Tune asks Ray for, for the process that runs a trial or starts its workers."""
    if needs.workers == 1:
        kind = {} if needs.accelerator is None else {ACCELERATOR + needs.accelerator: 0.001}
        return tune.PlacementGroupFactory([{"CPU": needs.cpus, "GPU": needs.gpus} | kind])
    # The workers have resources of their own. The process that starts them must take none of those away: with a
    # hundredth of a CPU for it, two workers with one CPU each never start on a machine with two. It stays on the head.
    return tune.PlacementGroupFactory([{"CPU": 0, HEAD: 0.001}])
