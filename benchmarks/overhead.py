"""The overhead of Ray for a trial: fpray's executor against the documented way to tune a Ray Train loop.

Nothing is trained, so all the time that passes is overhead.
"""

from __future__ import annotations

import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

import ray
import ray.train
import ray.train.torch
from ray import tune
from upath import UPath

from fpray.config import TrialSettings
from fpray.config.file import check_sweep
from fpray.execution import Room, execute
from fpray.records import Count, Record, SweepFolder
from fpray.search.schedule import Schedule
from fpray.training.runtime import Runtime

CPUS = 2
EXECUTOR_TRIALS = 20
RECIPE_TRIALS = 4  # some 15 s each: a few are enough

Mark = Callable[[], None]
"""Called as each trial ends."""


@dataclass(frozen=True)
class Timing:
    """Seconds until the first trial has ended, Ray's own start included, and for each trial after it."""

    trials: int
    first: float
    each_further: float


def measure(run: Callable[[Mark, str], None]) -> Timing:
    """Time a run of several trials in a Ray of its own, so that no run finds another's processes warm."""
    start, ends = time.perf_counter(), []
    ray.init(address="local", num_cpus=CPUS, log_to_driver=False, logging_level="error")
    with tempfile.TemporaryDirectory(prefix="fpray-overhead-") as folder:
        run(lambda: ends.append(time.perf_counter()), folder)
    ray.shutdown()
    return Timing(len(ends), ends[0] - start, (ends[-1] - ends[0]) / (len(ends) - 1))


def executor(trials: int, mark: Mark, folder: str) -> None:
    """One-worker trials through fpray's executor; search and records are part of what is timed."""
    sweep = check_sweep({"name": "overhead", "methods": {"full": {"trials": trials}}, "storage": folder}, "overhead")
    place = SweepFolder(UPath(folder))
    execute(
        Schedule(sweep, []),
        place,
        room=lambda: Room(most=CPUS, may_grow=True),
        on_change=lambda record: mark(),
        work=_finish,
    )


def _finish(record: Record, settings: TrialSettings, folder: SweepFolder, runtime: Runtime) -> None:
    results = {"id/val": Count(correct=1, total=2), "ood/any/val": Count(correct=1, total=2)}
    folder.records.write(record.finished(results=results))


def recipe(trials: int, mark: Mark, folder: str) -> None:
    """The documented recipe: a Tune function for each trial, which starts a Train worker group of one."""

    class Ends(tune.Callback):
        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            mark()

    def trial(config: dict[str, Any]) -> None:
        ray.train.torch.TorchTrainer(
            lambda: None,
            scaling_config=ray.train.ScalingConfig(num_workers=1),
            run_config=ray.train.RunConfig(name=f"train-{config['number']}", storage_path=folder),
        ).fit()

    tune.Tuner(
        tune.with_resources(trial, {"cpu": 0.01}),  # the worker needs the CPU, the function only waits for it
        param_space={"number": tune.grid_search(list(range(trials)))},
        tune_config=tune.TuneConfig(max_concurrent_trials=CPUS),
        run_config=tune.RunConfig(storage_path=folder, name="tune", verbose=0, callbacks=[Ends()]),
    ).fit()


def main() -> None:
    timings = {
        "fpray.execution": measure(partial(executor, EXECUTOR_TRIALS)),
        "Tune function + TorchTrainer(num_workers=1)": measure(partial(recipe, RECIPE_TRIALS)),
    }
    ours, theirs = timings.values()
    print(f"{'':44}{'trials':>7}{'first, s':>10}{'each further, s':>17}")
    for name, timing in timings.items():
        print(f"{name:44}{timing.trials:>7}{timing.first:>10.1f}{timing.each_further:>17.2f}")
    ratio = theirs.each_further / ours.each_further
    print(f"the recipe takes {ratio:.0f} times as long for each further trial")
    figures = {
        "executor": vars(ours),
        "recipe": vars(theirs),
        "ratio": ratio,
        "cpus_used": CPUS,
        "cpus_of_machine": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in ("ray", "torch", "optuna")},
    }
    rounded = json.loads(json.dumps(figures), parse_float=lambda number: round(float(number), 3))
    print(json.dumps(rounded))


if __name__ == "__main__":
    main()
