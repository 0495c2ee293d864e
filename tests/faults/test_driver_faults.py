"""What can happen to the command: it is killed at any moment, told to end by a signal, outlived by its trials."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import SMALL, outcomes
from faulty import Fault, epochs_begun, log_of, plan
from mlflow import MlflowClient
from upath import UPath

from fpray.records import Record, RecordStore

KILLS = 20
METHODS = {"zero_shot": {}, "full": {"trials": 9}, "wise_ft": {"trials": 3}}
EPOCHS = 3


@pytest.fixture(scope="module")
def sweep_file(tmp_path_factory: pytest.TempPathFactory, tiny_clip: str) -> Callable[..., Path]:
    """Writes a small sweep's file, for a storage folder of its own beside it."""

    def write(name: str, **sections: Any) -> Path:
        file = tmp_path_factory.mktemp(name) / "sweep.yaml"
        content = SMALL | {"model": {"name": tiny_clip}, "storage": str(file.parent), "methods": METHODS} | sections
        file.write_text(yaml.safe_dump(content))
        return file

    return write


@contextmanager
def driver(file: Path, *fault: str) -> Iterator[subprocess.Popen[str]]:
    """The command in a process group of its own, as a terminal gives it one; killed if the test leaves it."""
    program = Path(__file__).with_name("driver.py")
    with subprocess.Popen(
        [sys.executable, program, file, *fault],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def to_the_end(file: Path, *fault: str) -> tuple[int, str]:
    with driver(file, *fault) as process:
        said, _ = process.communicate(timeout=200)
        return process.returncode, said


def wait_for(process: subprocess.Popen[str], happened: Callable[[], object], seconds: float = 90) -> bool:
    """Wait until something has happened or the command has ended; whether it happened."""
    deadline = time.monotonic() + seconds
    while not (seen := happened()) and process.poll() is None:
        assert time.monotonic() < deadline
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


@pytest.fixture(scope="module")
def undisturbed(sweep_file: Callable[..., Path]) -> Path:
    file = sweep_file("undisturbed")
    code, said = to_the_end(file)
    assert code == 0, said
    return file


def test_killed_twenty_times_it_ends_the_same(undisturbed: Path, sweep_file: Callable[..., Path]) -> None:
    file, seed = sweep_file("killed"), random.randrange(10**6)
    print(f"seed {seed}")
    chance, whole = random.Random(seed), records(undisturbed)
    ended: dict[str, bytes] = {}
    lives = 0
    for number in range(KILLS):
        fault: tuple[str, ...] = ()
        if number % 4 == 1:
            fault = (chance.choice(["write", "written"]), str(chance.randint(1, 3)))
        elif number % 4 == 3:
            fault = (chance.choice(["batch", "batched"]), str(chance.randint(1, 3)))
        with driver(file, *fault) as process:
            if not fault:
                before = len(log_of(file.parent / "small"))
                # From its first imports to the middle of its trials.
                at_start = number % 4 == 0
                if not at_start:
                    wait_for(process, lambda seen=before: len(log_of(file.parent / "small")) > seen)
                moment = time.monotonic() + chance.uniform(0, 8 if at_start else 2)
                wait_for(process, lambda at=moment: time.monotonic() > at)
                process.kill()
            process.communicate(timeout=200)
            lives += process.returncode == 0
        for path, content in ended.items():
            assert Path(path).read_bytes() == content, "a trial that had ended was touched"
        done = (file.parent / "small" / "trials" / id / "record.json" for id, r in records(file).items() if r.ended)
        ended |= {str(path): path.read_bytes() for path in done}
    code, said = to_the_end(file)
    assert code == 0, said
    assert outcomes(list(records(file).values())) == outcomes(list(whole.values()))
    assert points(file) == points(undisturbed)
    assert lives < KILLS / 2, "most kills came too late to be any"
    trained = [r for r in records(file).values() if r.history]
    redone = sum(epochs_begun(file.parent / "small").values()) - EPOCHS * len(trained)
    assert redone <= 2 * KILLS  # two trials at a time


LONG = {"train": SMALL["train"] | {"epochs": 60}, "methods": {"full": {"trials": 3}}}


def running_in_epoch(file: Path, epoch: int) -> list[str]:
    begun = epochs_begun(file.parent / "small")
    return [id for id, r in records(file).items() if r.status == "running" and begun[id] >= epoch]


def test_signals(sweep_file: Callable[..., Path]) -> None:
    file = sweep_file("signals", **LONG)
    expected = sweep_file("unsignalled", **LONG)
    # Ctrl-C goes to the whole group, Ray's processes too.
    with driver(file) as process:
        assert wait_for(process, lambda: running_in_epoch(file, 5))
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "stopping: trials end the epoch they are in; again, and all ends at once" in said
    assert "interrupted: 0 of 3 trials are done, full-000 after epoch " in said
    assert said.strip().endswith("the same command goes on from here")
    assert "Traceback" not in said
    begun = epochs_begun(file.parent / "small")
    for id, record in records(file).items():
        assert record.status == "running"
        assert len(record.history) == begun[id], "the epoch was not ended"
        kept = [path.name for path in (file.parent / "small" / "trials" / id / "checkpoint").iterdir()]
        assert f"epoch-{len(record.history):04d}.safetensors" in kept

    with driver(file) as process:
        further = {id: count + 5 for id, count in begun.items()}
        assert wait_for(process, lambda: any(running_in_epoch(file, n) for n in further.values()))
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 143, said
    assert "interrupted: " in said

    with driver(file) as process:
        so_far = sum(epochs_begun(file.parent / "small").values())
        assert wait_for(process, lambda: sum(epochs_begun(file.parent / "small").values()) > so_far + 3)
        for _ in range(2):
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.1)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "ended at once; the same command goes on from the last checkpoints" in said

    for sweep in (file, expected):
        code, said = to_the_end(sweep)
        assert code == 0, said
    assert outcomes(list(records(file).values())) == outcomes(list(records(expected).values()))
    # Only the third interruption, at once, could cost an epoch of each of the two trials that ran.
    assert sum(epochs_begun(file.parent / "small").values()) - 60 * 3 <= 2


def state_of(pid: int) -> str:
    """Linux's letter for a process's state: T is stopped; X for one that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def test_a_trial_process_that_outlives_its_command_writes_nothing(
    undisturbed: Path, sweep_file: Callable[..., Path]
) -> None:
    file = sweep_file("outlived")
    folder = file.parent / "small"
    # Frozen right before its record would come to stand.
    plan(folder, {"full-000#1": Fault("freeze", "write", 5)})
    with driver(file) as process:
        assert wait_for(process, lambda: any(words[0] == "fault" for words in log_of(folder)))
        (frozen,) = (int(words[2]) for words in log_of(folder) if words[0] == "fault")
        assert wait_for(process, lambda: state_of(frozen) == "T")
        process.kill()
        process.wait()
    plan(folder, {})
    code, said = to_the_end(file)
    assert code == 0, said
    before = {path: path.read_bytes() for path in folder.rglob("trials/*/*")}
    assert state_of(frozen) == "T"
    os.kill(frozen, signal.SIGCONT)
    deadline = time.monotonic() + 60
    while state_of(frozen) not in "XZ":
        assert time.monotonic() < deadline
    assert {path: path.read_bytes() for path in folder.rglob("trials/*/*")} == before
    assert outcomes(list(records(file).values())) == outcomes(list(records(undisturbed).values()))
