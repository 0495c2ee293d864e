"""The command and trials in processes of their own, forked from one that has done the slow imports."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import torch
from mlflow import MlflowClient
from ray.cluster_utils import Cluster
from upath import UPath

from fpray import execution
from fpray.config.file import read_sweep
from fpray.errors import UserError
from fpray.records import Record, SweepFolder
from fpray.records.store import SupersededError
from fpray.sweep.run import run_sweep
from fpray.tracking import mlflow_runs
from fpray.training.runtime import Runtime
from tests.faults import faulty

# Imported for the processes that are forked: else each would do it, when it first needs them.
PRELOADED = (mlflow_runs, *(getattr(execution, name) for name in execution.__all__))

SUPERSEDED = 77
"""Exit code of a trial that found a later attempt."""
_FORKED = multiprocessing.get_context("forkserver")
_FORKED.set_forkserver_preload([__name__])


@contextmanager
def standing_ray() -> Iterator[str]:
    """The address of a Ray with two CPUs that commands may join and leave, which is quicker than to start one each."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    try:
        yield cluster.address
    finally:
        cluster.shutdown()


def start(file: Path, address: str | None = None, moment: str = "", count: int = 0) -> ForkServerProcess:
    """Start the command on a sweep file, in a process group of its own, as a terminal gives it one.

    It kills itself during the `count`th write of a record (`moment`: `write`), right after it (`written`), or at the
    `count`th batch for MLflow (`batch`: before it is sent; `batched`: when it has been).
    """
    output(file).touch()  # there even where the process is killed before it says anything
    process = _FORKED.Process(target=_command, args=(file, address, moment, count))
    process.start()
    return process


def output(file: Path) -> Path:
    """The file into which the commands on a sweep file write all that they print."""
    return file.with_suffix(".out")


def _command(file: Path, address: str | None, moment: str, count: int) -> None:
    os.setsid()
    said = os.open(output(file), os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(said, stream)
    counted: Counter[str] = Counter()

    def came(now: str) -> None:
        counted[now] += 1
        if (now, counted[now]) == (moment, count):
            faulty.kill()

    log_batch = MlflowClient.log_batch

    def told_of(*arguments: Any, **named: Any) -> None:
        came("batch")
        log_batch(*arguments, **named)
        came("batched")

    MlflowClient.log_batch = told_of
    try:
        with faulty.telling_of_writes(came):
            sys.exit(run_sweep(read_sweep(file), address=address, work=faulty.work))
    except UserError as error:
        print(f"fpray: {error}", file=sys.stderr)
        sys.exit(2)


@contextmanager
def running_trial(record: Record, file: Path) -> Iterator[ForkServerProcess]:
    """An attempt at a trial in a process of which no Ray knows; killed if the test leaves it."""
    process = _FORKED.Process(target=_trial, args=(record, file))
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()


def _trial(record: Record, file: Path) -> None:
    try:
        sweep, folder = read_sweep(file), SweepFolder(UPath(file.parent / "small"))
        record = record.of_model(sweep.model.each()[0])
        faulty.work(record, sweep.trial_settings(record.trial.method), folder, Runtime(torch.device("cpu")))
    except SupersededError:
        sys.exit(SUPERSEDED)
