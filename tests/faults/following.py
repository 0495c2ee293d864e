"""Following a command from outside: what it leaves, says, and has told MLflow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from mlflow import MlflowClient

from fpray.config.file import read_sweep
from fpray.records.record import Record
from tests.faults.command import output, start
from tests.faults.faulty import epochs_begun, log_of
from tests.sweeps import records_in, run_here
from tests.waiting import PATIENCE_SECONDS


@contextmanager
def running(file: Path, address: str | None = None, moment: str = "", count: int = 0) -> Iterator[ForkServerProcess]:
    """The command, see `start`; killed if the test leaves it."""
    process = start(file, address, moment, count)
    try:
        yield process
    finally:
        process.kill()
        process.join()


def ended(process: ForkServerProcess, file: Path) -> tuple[int | None, str]:
    """The exit code of a command that is ending, and what it said."""
    process.join(PATIENCE_SECONDS)
    said = output(file).read_text()
    output(file).unlink()
    return process.exitcode, said


def to_the_end(file: Path, address: str | None = None) -> tuple[int | None, str]:
    with running(file, address) as process:
        return ended(process, file)


def ran_through(file: Path) -> Path:
    """Let a sweep run to its end undisturbed, without Ray; the command then tells MLflow of it."""
    run_here(read_sweep(file))
    code, said = to_the_end(file)
    assert code == 0, said
    return file


def records(file: Path) -> dict[str, Record]:
    return records_in(file.parent / "small")


def state_of(pid: int) -> str:
    """Linux's letter for a process's state: T is stopped; X for one that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def frozen(file: Path) -> set[int]:
    """The processes of trials that are frozen now, see `faulty.freeze`."""
    pids = {int(words[2]) for words in log_of(file.parent / "small") if words[:2] == ["fault", "freeze"]}
    return {pid for pid in pids if state_of(pid) == "T"}


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
