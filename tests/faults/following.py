"""Following a command from outside: what it leaves, says, and has told MLflow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from driver import output, start
from faulty import epochs_begun
from mlflow import MlflowClient
from upath import UPath

from fpray.records import Record
from fpray.store import RecordStore


@contextmanager
def driver(file: Path, address: str | None = None, moment: str = "", count: int = 0) -> Iterator[ForkServerProcess]:
    """The command, see `start`; killed if the test leaves it."""
    process = start(file, address, moment, count)
    try:
        yield process
    finally:
        process.kill()
        process.join()


def ended(process: ForkServerProcess, file: Path, seconds: float = 200) -> tuple[int | None, str]:
    """The exit code of a command that is ending, and what it said."""
    process.join(seconds)
    said = output(file).read_text()
    output(file).unlink()
    return process.exitcode, said


def to_the_end(file: Path, address: str | None = None) -> tuple[int | None, str]:
    with driver(file, address) as process:
        return ended(process, file)


def wait_for(process: ForkServerProcess, happened: Callable[[], object], seconds: float = 90) -> bool:
    """Wait until something has happened or the command has ended; whether it happened."""
    deadline = time.monotonic() + seconds
    while not (seen := happened()) and process.is_alive():
        assert time.monotonic() < deadline
        process.join(0.02)
    return bool(seen)


def records(file: Path) -> dict[str, Record]:
    return {r.trial.id: r for r in RecordStore(UPath(file.parent / "small")).read_all()}


def points(file: Path) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Every point of every metric that MLflow has of each run; no run comes twice."""
    client = MlflowClient(f"sqlite:///{file.parent}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("small").experiment_id])
    assert len({run.info.run_name for run in runs}) == len(runs)
    assert {run.info.status for run in runs} == {"FINISHED"}
    timed = {"seconds", "images_per_second"}
    return {
        run.info.run_name: {
            key: sorted((m.step, m.value) for m in client.get_metric_history(run.info.run_id, key))
            for key in run.data.metrics.keys() - timed
        }
        for run in runs
    }


def begun(file: Path) -> int:
    return sum(epochs_begun(file.parent / "small").values())
