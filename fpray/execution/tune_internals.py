"""Tune's private parts: all that fpray uses of Ray Tune beyond its documentation, each with its reason.

Read in Ray 2.60.0. A newer Ray may move them without a word: `tests/execution/test_ray_internals.py` says so first.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from ray._private import worker
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.tune.execution import tune_controller
from ray.tune.execution.class_cache import DEFAULT_ENV_VARS, ENV_VARS_TO_PROPAGATE
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import FIFOScheduler


class QuietReporter(TrialProgressCallback):
    """Takes the place of the callback with which Tune prints every trial's end, whatever its verbosity."""

    def _print(self, msg: str) -> None:
        pass


class KeepProcesses(FIFOScheduler):
    """Keeps trials' processes for trials to come, where Tune would end them.

    By itself Tune keeps one process that no trial asks for. Trials that wait for results (`search.lag`) ask for none,
    so of those that end at about the same time all others would lose theirs; and what is kept Tune would hand to
    a trial whose own process is about to be there, and end that.
    """

    def __init__(self, to_come: Callable[[], int]) -> None:
        """
        Args:
            to_come: how many trials will ask for a process soon.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self._to_come = to_come
        self._kept = Counter[Any]()
        """How many more processes than Tune's own number are kept for each request."""

    def choose_trial_to_run(self, tune_controller: Any) -> None:
        """None: Tune then gives a kept process to a trial that has none. Called before it looks what to keep."""
        controller = tune_controller._tune_controller
        cache, staged = controller._actor_cache, controller._staged_trials
        for request in {*cache._cached_objects, *self._kept}:
            # A kept process must not take the room of one that differs.
            in_the_way = any(trial.placement_group_factory != request for trial in staged)
            wanted = 0 if in_the_way else self._to_come()
            cache.increase_max(request, wanted - self._kept[request])
            self._kept[request] = wanted


def keep_credentials_from_logs() -> None:
    """Tune would hand AWS's credentials to trials in a way that Ray writes into a log.

    Processes on this machine have them anyhow, and nodes of a cluster have their own.
    """
    ENV_VARS_TO_PROPAGATE.difference_update({name for name in ENV_VARS_TO_PROPAGATE if name.startswith("AWS_")})


def hand_no_environment_on() -> None:
    """Let Tune hand trials no variables: those on a Ray that was started here have them all from this process.

    Ray gives idle processes, which `import_ahead` has readied, only to those that ask for no variables.
    """
    ENV_VARS_TO_PROPAGATE.clear()
    DEFAULT_ENV_VARS.clear()


@contextmanager
def killed_for_memory(told: Callable[[], None]) -> Iterator[None]:
    """Let Tune take a process that Ray killed for want of memory for one that died; by itself it ends the sweep.

    Args:
        told: called right before Tune says that the process's trial has ended.
    """

    def failed(manager: RayActorManager, tracked_actor_task: Any, exception: Exception) -> None:
        if isinstance(exception, OutOfMemoryError):
            told()
            exception = RayActorError(error_msg=str(exception))
        before(manager, tracked_actor_task, exception)

    before = RayActorManager._actor_task_failed
    cast(Any, RayActorManager)._actor_task_failed = failed
    try:
        yield
    finally:
        cast(Any, RayActorManager)._actor_task_failed = before


@contextmanager
def asked_before_ray_speaks(ask: Callable[[], None]) -> Iterator[None]:
    """Call `ask` before Tune logs that a trial's process died, and before Ray prints what ails a cluster.

    Ray prints that whatever `log_to_driver` says.
    """

    def filtered(record: logging.LogRecord) -> bool:
        ask()
        return True

    def print_to_stdstream(*arguments: Any, **named: Any) -> None:
        ask()
        before(*arguments, **named)

    before = worker.print_to_stdstream
    cast(Any, worker).print_to_stdstream = print_to_stdstream
    tune_controller.logger.addFilter(filtered)
    try:
        yield
    finally:
        tune_controller.logger.removeFilter(filtered)
        cast(Any, worker).print_to_stdstream = before
