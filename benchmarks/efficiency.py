"""The efficiency of a whole sweep: the work that it can't do without, over the time that it takes on all its slots.

    python -m benchmarks.efficiency

Necessary are the bare forward and backward passes of all steps, one evaluation of each split for each trial, the
reference's forward passes for KD and for the linear probe once; each is measured on preloaded tensors before and after
the sweep, in two processes at a time as that has two slots. Beside it run, on the same trials, (a) the recipe of Ray's
documentation, a Tune function for each trial that starts a TorchTrainer, and (b) a plain PyTorch process for each
trial, two at a time, see `benchmarks.plain`. Of these one trial of each method is run and its time taken for the others
of its method.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import mean, median
from typing import Any

import ray
import ray.train
import ray.train.torch
import torch
from ray import tune
from torch.utils.data import default_collate

from benchmarks import plain
from benchmarks.material import new_method, preloaded, timed
from fpray.config import Sweep
from fpray.config.file import read_sweep
from fpray.data import open_dataset
from fpray.data.loading import EVALUATED_AT_ONCE
from fpray.methods import METHODS, TrainedMethod
from fpray.model.reference import load_reference
from fpray.search import studies

FILE = Path(__file__).with_name("efficiency.yaml")
SLOTS, ROUNDS = 2, 15
ONE_OF_EACH: Mapping[str, dict[str, float]] = {
    "zero_shot": {},
    "linear_probe": {"lr": 1e-2},
    "full": {"lr": 1e-3},
    "l1": {"lr": 1e-3, "strength": 1e-4},
    "l2": {"lr": 1e-3, "strength": 1e-1},
    "kd": {"lr": 1e-3, "strength": 1.0},
    "lora": {"lr": 1e-3, "rank": 16},
    "wise_ft": {"alpha": 0.5},
}
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


def bare_costs(_: int) -> dict[str, float]:
    """Seconds of a training step of each method that has steps of its own, and of an evaluated image, on one thread."""
    torch.set_num_threads(1)
    sweep = read_sweep(FILE)
    reference = load_reference("drawnet-s", None, open_dataset(sweep.data), torch.device("cpu"))
    split = reference.dataset.splits()[0]
    images = preloaded(reference, int(sweep.train.batch_size))
    evaluated = preloaded(reference, EVALUATED_AT_ONCE["cpu"])["images"]
    costs = {}
    for name in ("full", "lora", "linear_probe"):
        method, batch = new_method(name, reference, sweep), images
        if name == "linear_probe":
            known = method.training_data(split)
            batch = default_collate([known[i] for i in range(len(images["labels"]))])
        costs[name] = typical(lambda m=method, b=batch: sum(m(b).values()).backward())
    with torch.no_grad():
        costs["image"] = typical(lambda: reference.classifier(evaluated)) / len(evaluated)
    return costs


def typical(work: Callable[[], object]) -> float:
    """The median seconds of some rounds, after two that warm up."""
    return median([timed(work, torch.device("cpu")) for _ in range(ROUNDS + 2)][2:])


def necessary(sweep: Sweep) -> float:
    """Seconds of one slot."""
    with ProcessPoolExecutor(SLOTS, mp_context=get_context("spawn")) as pool:
        both = list(pool.map(bare_costs, range(SLOTS)))
    costs = {key: mean(own[key] for own in both) for key in both[0]}
    print("bare, ms: " + ", ".join(f"{key} {1000 * value:.3f}" for key, value in costs.items()))
    dataset = open_dataset(sweep.data)
    sizes = {split: len(dataset.images(split)) for split in dataset.splits()}
    train = next(size for split, size in sizes.items() if split.part == "train")
    evaluated = sum(sizes.values()) - train
    steps = sweep.train.epochs * (train // int(sweep.train.batch_size))
    seconds = 0.0
    for method, count in counts(sweep).items():
        seconds += count * evaluated * costs["image"]
        if issubclass(METHODS[method], TrainedMethod):
            seconds += count * steps * costs.get(method, costs["full"])
        seconds += {"kd": sweep.train.epochs * train, "linear_probe": train}.get(method, 0) * costs["image"]
    return seconds


def counts(sweep: Sweep) -> dict[str, int]:
    """The trials of each method."""
    return {study.method: study.trials for study in studies(sweep)}


def by_fpray(overrides: list[str]) -> float:
    """Seconds of the command, from its start to its end."""
    with tempfile.TemporaryDirectory(prefix="fpray-efficiency-") as storage:
        call = [sys.executable, "-m", "fpray.sweep", str(FILE), f"storage={storage}", *overrides]
        started = time.perf_counter()
        subprocess.run(call, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - started


def by_processes(sweep: Sweep) -> float:
    """Seconds of a shell loop over all trials, from one of each method."""

    def trial(method: str) -> float:
        call = [sys.executable, "-m", "benchmarks.plain", method, json.dumps(ONE_OF_EACH[method])]
        started = time.perf_counter()
        subprocess.run(call, check=True, stdout=subprocess.DEVNULL, env=os.environ | ONE_THREAD)
        return time.perf_counter() - started

    with ThreadPoolExecutor(SLOTS) as pool:
        seconds = dict(zip(ONE_OF_EACH, pool.map(trial, ONE_OF_EACH), strict=True))
    return scaled("plain process", sweep, seconds)


def by_recipe(sweep: Sweep) -> float:
    """Seconds of Ray's recipe over all trials, from one of each method, and Ray's own start."""
    begun: dict[str, float] = {}
    seconds: dict[str, float] = {}

    class Clock(tune.Callback):
        def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            begun[trial.config["method"]] = time.perf_counter()

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            seconds[trial.config["method"]] = time.perf_counter() - begun[trial.config["method"]]

    def worker(config: dict[str, Any]) -> None:
        torch.set_num_threads(1)
        plain.run(config["method"], ONE_OF_EACH[config["method"]], config["epochs"], ray.train.report)

    with tempfile.TemporaryDirectory(prefix="fpray-recipe-") as folder:

        def trial(config: dict[str, Any]) -> None:
            ray.train.torch.TorchTrainer(
                worker,
                train_loop_config=config | {"epochs": sweep.train.epochs},
                scaling_config=ray.train.ScalingConfig(num_workers=1),
                run_config=ray.train.RunConfig(name=config["method"], storage_path=folder),
            ).fit()

        started = time.perf_counter()
        root = str(Path(__file__).parents[1])
        ray.init(
            address="local",
            num_cpus=SLOTS,
            log_to_driver=False,
            logging_level="error",
            runtime_env={"env_vars": {"PYTHONPATH": root}},
        )
        up = time.perf_counter() - started
        tune.Tuner(
            tune.with_resources(trial, {"cpu": 0.01}),  # the worker needs the CPU, the function only waits for it
            param_space={"method": tune.grid_search(list(ONE_OF_EACH))},
            tune_config=tune.TuneConfig(max_concurrent_trials=SLOTS),
            run_config=tune.RunConfig(storage_path=folder, name="tune", verbose=0, callbacks=[Clock()]),
        ).fit()
        ray.shutdown()
    return up + scaled("Ray's recipe", sweep, seconds)


def scaled(name: str, sweep: Sweep, seconds: Mapping[str, float]) -> float:
    """Seconds of all trials, two at a time, from those of one of each method."""
    print(f"{name}, s a trial: " + ", ".join(f"{method} {own:.1f}" for method, own in seconds.items()), flush=True)
    return sum(count * seconds[method] for method, count in counts(sweep).items()) / SLOTS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", help="keys of the sweep file: train.validate_every=2")
    parser.add_argument("--alone", action="store_true", help="fpray alone, without the two others")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fpray-efficiency-cache-") as cache:
        os.environ["FPRAY_CACHE"] = cache
        sweep = read_sweep(FILE)
        dataset = open_dataset(sweep.data)
        dataset.images(dataset.splits()[0])  # draws the pictures, for all of them
        before = necessary(sweep)
        wall = by_fpray(options.overrides)
        needed = mean([before, necessary(sweep)])  # a machine is not as fast at every moment
        figures = {"necessary": needed, "wall": wall, "efficiency": needed / wall / SLOTS}
        print(f"fpray: {wall:.1f} s, efficiency {figures['efficiency']:.3f}", flush=True)
        if not options.alone:
            figures |= {"recipe": by_recipe(sweep), "processes": by_processes(sweep)}
            figures |= {f"{name} over fpray": figures[name] / wall for name in ("recipe", "processes")}
    print("\n" + json.dumps({"overrides": options.overrides} | {k: round(v, 3) for k, v in figures.items()}))


if __name__ == "__main__":
    main()
