"""The executor: Ray Tune runs the trials, Ray Train trains them. The only module that knows both."""

from __future__ import annotations

import gc
import os
import tempfile
import time
import traceback
from collections.abc import Callable
from typing import Any

import ray
import ray.train
import ray.train.torch
import torch
from ray import tune
from ray.tune.execution.class_cache import ENV_VARS_TO_PROPAGATE
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.search import Searcher
from upath import UPath

from fpray.config import Resources, Sweep
from fpray.errors import UserError
from fpray.interrupt import StopSign
from fpray.lock import LostHoldError
from fpray.records import Record
from fpray.runtime import Runtime
from fpray.schedule import Schedule, Wait
from fpray.storage import StorageError
from fpray.store import AttemptStore, RecordStore, SupersededError
from fpray.train import StoppedError, TrainingError
from fpray.trial import run_trial
from fpray.watchdog import Watchdog

# Tune's newer console prints tables that no setting turns off; progress is ours to tell (see `_Quiet` too).
os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
# Ctrl-C is the sweep's to take, see `interrupt`.
os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"

Work = Callable[[Record, Sweep, UPath, Runtime], None]

DIED = "the trial's process ended before the trial did"
ENDS = (StoppedError, SupersededError, StorageError, TrainingError, UserError)
"""The errors that say what becomes of a trial."""
_STORAGE = "storage_error"
"""The key under which a trial's process says that it couldn't write."""


def execute(
    schedule: Schedule,
    sweep: Sweep,
    folder: UPath,
    at_once: int,
    on_end: Callable[[Record], None],
    work: Work = run_trial,
    may_go_on: Callable[[], bool] = lambda: True,
) -> None:
    """Run every trial that the schedule deals, `at_once` at a time.

    Args:
        on_end: called in this process with the record of each trial that has ended, or, with status `running`, whose
            attempt has failed and that is tried again.
        work: what a trial does.
        may_go_on: whether further trials may begin.

    Raises:
        OSError: if a trial's files can't be read or written, which is not the trial's fault.
        LostHoldError: if `may_go_on` raises it.
    """
    dealer = _Dealer(schedule, folder, sweep.resources.max_failures, on_end, may_go_on)
    # Tune would hand these to trials in a way that Ray writes into a log. Processes on this machine have them anyhow,
    # and nodes of a cluster have their own.
    ENV_VARS_TO_PROPAGATE.difference_update({name for name in ENV_VARS_TO_PROPAGATE if name.startswith("AWS_")})
    with tempfile.TemporaryDirectory(prefix="fpray-tune-") as scratch:
        tune.Tuner(
            tune.with_resources(_trainable(sweep, folder, work), _trial_resources(sweep.resources)),
            tune_config=tune.TuneConfig(
                search_alg=dealer,
                num_samples=-1,  # as many as are dealt: those that fail are dealt again
                max_concurrent_trials=at_once,
                reuse_actors=True,
            ),
            # Tune keeps nothing that we need: the records are the truth.
            run_config=tune.RunConfig(
                storage_path=scratch, name="sweep", verbose=0, callbacks=[_Quiet()], stop=_StopAll(dealer)
            ),
        ).fit()
    if dealer.problem is not None:
        raise dealer.problem


class _Quiet(TrialProgressCallback):
    """Takes the place of the callback with which Tune prints every trial's end, whatever its verbosity."""

    def _print(self, msg: str) -> None:
        pass


class _Dealer(Searcher):
    """Hands the schedule's trials to Tune, and their ends back."""

    def __init__(
        self,
        schedule: Schedule,
        folder: UPath,
        max_failures: int,
        on_end: Callable[[Record], None],
        may_go_on: Callable[[], bool],
    ) -> None:
        super().__init__()
        self._schedule, self._store, self._max_failures = schedule, RecordStore(folder), max_failures
        self._on_end, self._may_go_on = on_end, may_go_on
        self._running: dict[str, Record] = {}
        self.problem: OSError | LostHoldError | None = None
        """What ends the sweep. Kept here: Tune wraps what its searcher raises, and goes on calling it."""

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        try:
            return self._deal(trial_id)
        except (OSError, LostHoldError) as problem:
            self.problem = problem
            return Searcher.FINISHED

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        claimed = self._running.pop(trial_id)
        try:
            if self.problem is None:
                self._take_back(claimed, result or {})
        except (OSError, LostHoldError) as problem:
            self.problem = problem

    def _deal(self, trial_id: str) -> dict[str, Any] | str | None:
        if self.problem is not None or not self._may_go_on():
            return Searcher.FINISHED
        dealt = self._schedule.next()
        if isinstance(dealt, Wait):
            # While a trial runs it may fail, and be dealt again.
            return None if self._running or dealt is Wait.FOR_RESULTS else Searcher.FINISHED
        record = self._store.claim(dealt)
        if record.status == "finished":
            self._schedule.ended(record)
            self._on_end(record)
            return self._deal(trial_id)
        self._running[trial_id] = record
        return {"record": record.model_dump(mode="json")}

    def _take_back(self, claimed: Record, result: dict[str, Any]) -> None:
        if _STORAGE in result:
            raise StorageError(*result[_STORAGE])
        record = self._store.now(claimed)
        if record.status == "running":
            if not self._may_go_on():
                self._schedule.again(record)  # it stopped because it was asked to
                return
            record = after_failure(record, self._max_failures)
            if record.status == "running":
                self._schedule.again(record)
                self._on_end(record)
                return
            self._store.write(record)
        if record.status == "finished":
            self._store.remove_checkpoints(record.trial.id)
        self._schedule.ended(record)
        self._on_end(record)

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its searcher for a restore, and a sweep is resumed from its records instead."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing, see `__getstate__`."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, see `__getstate__`."""


class _StopAll(tune.Stopper):
    """Ends the trials that run when the sweep can't go on."""

    def __init__(self, dealer: _Dealer) -> None:
        self._dealer = dealer

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._dealer.problem is not None


def after_failure(record: Record, max_failures: int) -> Record:
    """What becomes of a trial whose attempt ended before the trial did: it goes on, or has failed too often."""
    record = record.model_copy(update={"failures": record.failures + 1})
    return failed(record, record.error or DIED) if record.failures > max_failures else record


def failed(record: Record, error: str) -> Record:
    """The record of a trial that ended badly."""
    return record.model_copy(update={"status": "failed", "error": error, "ended": time.time()})


def _trial_resources(resources: Resources) -> dict[str, float] | tune.PlacementGroupFactory:
    if resources.workers == 1:
        return {"cpu": resources.cpus, "gpu": resources.gpus}
    # The workers have resources of their own. The process that starts them must take none of those away: with a
    # hundredth of a CPU for it, two workers with one CPU each never start on a machine with two. It stays on the head.
    return tune.PlacementGroupFactory([{"CPU": 0, "node:__internal_head__": 0.001}])


def _trainable(sweep: Sweep, folder: UPath, work: Work) -> Callable[[dict[str, Any]], dict[str, Any] | None]:
    def trial(config: dict[str, Any]) -> dict[str, Any] | None:
        record = Record.model_validate(config["record"])
        try:
            # Errors are told in the record and not to Tune: the process stays warm for the next trial.
            try:
                _fit(record, sweep, folder, work)
            except Exception as error:
                _record_error(error, AttemptStore(folder, record))
        except (StoppedError, SupersededError):
            pass
        except StorageError as error:
            return {_STORAGE: (error.errno, error.strerror, error.filename)}
        finally:
            _clean_up(sweep)
        return None

    return trial


def _record_error(error: Exception, store: AttemptStore) -> None:
    """Write down why an attempt has failed, and whether another one may go better."""
    told = traceback.format_exc()
    if isinstance(error, ray.train.WorkerGroupError):
        error = next((e for e in error.worker_failures.values() if isinstance(e, ENDS)), error)
    if isinstance(error, StoppedError | SupersededError | StorageError):
        raise error
    if isinstance(error, TrainingError | UserError):
        store.write(failed(store.attempt(), told))
    else:
        store.tell(told)


def _clean_up(sweep: Sweep) -> None:
    """What a trial leaves in cycles (an error's frames, a compiled module) would hold the next one's memory."""
    if sweep.train.compile:
        torch.compiler.reset()  # it compiles a function for eight kinds of module at most, then gives up in silence
    gc.collect()
    torch.cuda.empty_cache()


def _fit(record: Record, sweep: Sweep, folder: UPath, work: Work) -> None:
    """Train in this process with one worker (Train's local mode), in a worker group with several."""
    resources = sweep.resources
    alone = resources.workers == 1

    def loop() -> None:
        torch.set_num_threads(max(1, int(resources.cpus)))
        with Watchdog(resources.stall_seconds, AttemptStore(folder, record).tell) as watchdog:
            signs = {"beat": watchdog.beat, "stop_asked": StopSign(folder).is_up}
            runtime = Runtime.alone(resources.gpus > 0, **signs) if alone else Runtime.of_worker_group(**signs)
            work(record, sweep, folder, runtime)

    with tempfile.TemporaryDirectory(prefix="fpray-train-") as scratch:
        ray.train.torch.TorchTrainer(
            loop,
            scaling_config=ray.train.ScalingConfig(
                num_workers=0 if alone else resources.workers,
                use_gpu=resources.gpus > 0,
                resources_per_worker=None if alone else {"CPU": resources.cpus, "GPU": resources.gpus},
            ),
            run_config=None if alone else ray.train.RunConfig(name=record.trial.id, storage_path=scratch),
        ).fit()
