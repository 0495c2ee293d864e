"""What can happen to the command: it is killed at any moment, told to end by a signal, outlived by its trials."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from driver import SUPERSEDED, output, standing_ray, start_trial
from faulty import Fault, epochs_begun, log_of, plan
from following import begun, driver, ended, points, records, to_the_end, wait_for
from small import SMALL, outcomes, write_sweep
from upath import UPath

from fpray.records import Record, Trial
from fpray.store import RecordStore

KILLS = 20
METHODS = {"zero_shot": {}, "full": {"trials": 4}, "wise_ft": {"trials": 2}}
EPOCHS = 6


@pytest.fixture(scope="module")
def sweep_file(tmp_path_factory: pytest.TempPathFactory, tiny_clip: str) -> Callable[[str], Path]:
    """Writes a small sweep's file, for a storage folder of its own beside it."""

    def write(name: str) -> Path:
        return write_sweep(
            tmp_path_factory.mktemp(name), tiny_clip, train=SMALL["train"] | {"epochs": EPOCHS}, methods=METHODS
        )

    return write


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with standing_ray() as address:
        yield address


@pytest.fixture(scope="module")
def undisturbed(address: str, sweep_file: Callable[[str], Path]) -> Path:
    file = sweep_file("undisturbed")
    code, said = to_the_end(file, address)
    assert code == 0, said
    return file


def test_killed_twenty_times_it_ends_the_same(
    address: str, undisturbed: Path, sweep_file: Callable[[str], Path]
) -> None:
    file, seed = sweep_file("killed"), random.randrange(10**6)
    print(f"seed {seed}")
    chance, whole = random.Random(seed), records(undisturbed)
    kept: dict[Path, bytes] = {}
    killed = 0
    for number in range(KILLS):
        moment, count = "", 0
        at_start = number % 5 == 0  # from the first line to the middle of a trial, the start of Ray between them
        if number % 5 == 1:
            moment, count = chance.choice(["write", "written"]), chance.randint(1, 2)
        elif number % 5 == 3:
            moment, count = chance.choice(["batch", "batched"]), chance.randint(1, 2)
        with driver(file, None if at_start else address, moment, count) as process:
            if not moment:
                before = len(log_of(file.parent / "small"))
                if not at_start:
                    wait_for(process, lambda seen=before: len(log_of(file.parent / "small")) > seen)
                at = time.monotonic() + chance.uniform(0, 10 if at_start else 2)
                wait_for(process, lambda at=at: time.monotonic() > at)
                process.kill()
            code, said = ended(process, file)
        assert code in (-signal.SIGKILL, 0), said
        killed += code != 0
        for path, content in kept.items():
            assert path.read_bytes() == content, "a trial that had ended was touched"
        done = [file.parent / "small" / "trials" / id / "record.json" for id, r in records(file).items() if r.ended]
        kept |= {path: path.read_bytes() for path in done}
    code, said = to_the_end(file, address)
    assert code == 0, said
    print(f"{killed} kills")
    assert outcomes(records(file).values()) == outcomes(whole.values())
    assert points(file) == points(undisturbed)
    trained = [r for r in records(file).values() if r.history]
    redone = sum(epochs_begun(file.parent / "small").values()) - EPOCHS * len(trained)
    assert redone <= 2 * killed  # two trials at a time


def test_signals(address: str, undisturbed: Path, sweep_file: Callable[[str], Path]) -> None:
    file = sweep_file("signals")
    # Ctrl-C goes to the whole group, Ray's processes too.
    with driver(file) as process:
        assert wait_for(process, lambda: begun(file) > 1)
        os.killpg(process.pid, signal.SIGINT)
        code, said = ended(process, file)
    assert code == 130, said
    assert "stopping: trials end the epoch they are in; again, and all ends at once" in said
    assert re.search("interrupted: [01] of 7 trials are done, full-000 after epoch [2-5] of 6", said), said
    assert said.strip().endswith("the same command goes on from here")
    assert "Traceback" not in said
    epochs = epochs_begun(file.parent / "small")
    for record in (r for r in records(file).values() if r.status == "running"):
        assert len(record.history) == epochs[record.trial.id], "the epoch was not ended"
        folder = file.parent / "small" / "trials" / record.trial.id / "checkpoint"
        assert not record.history or (folder / f"epoch-{len(record.history):04d}.safetensors").exists()

    with driver(file, address) as process:
        so_far = begun(file)
        assert wait_for(process, lambda: begun(file) > so_far + 2)
        os.kill(process.pid, signal.SIGTERM)
        code, said = ended(process, file)
    assert code == 143, said
    assert "interrupted: " in said

    with driver(file) as process:
        so_far = begun(file)
        assert wait_for(process, lambda: begun(file) > so_far + 2)
        os.killpg(process.pid, signal.SIGINT)
        wait_for(process, lambda: "stopping" in output(file).read_text())
        os.killpg(process.pid, signal.SIGINT)
        code, said = ended(process, file)
    assert code == 130, said
    # Here or, had the trials ended their epochs before the second signal came, there.
    assert "ended at once; the same command goes on from the last checkpoints" in said or "interrupted: " in said

    code, said = to_the_end(file, address)
    assert code == 0, said
    assert outcomes(records(file).values()) == outcomes(records(undisturbed).values())
    # Only the third interruption, at once, could cost an epoch of each of the two trials that ran.
    assert begun(file) - begun(undisturbed) <= 2


def state_of(pid: int) -> str:
    """Linux's letter for a process's state: T is stopped; X for one that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


WRITES = {"checkpoint": 4, "record": 5, "weights": 2 + 2 * EPOCHS, "last record": 4 + 2 * EPOCHS}
"""Which of a trial's writes are those of its second epoch and of its end."""


@pytest.mark.parametrize("moment", WRITES)
def test_a_process_that_outlives_its_command_writes_nothing(sweep_file: Callable[[str], Path], moment: str) -> None:
    """Ray ends a dead command's processes; one that it can't reach any more is shut out by its attempt's number."""
    file = sweep_file("outlived")
    folder, store = file.parent / "small", RecordStore(UPath(file.parent / "small"))
    # Frozen after it has looked whether it may still write, right before the file comes to stand.
    plan(folder, {"full-000#1": Fault("freeze", "write", WRITES[moment])})
    trial = Trial(id="full-000", method="full", number=0, seed=0, params={"lr": 5e-4})
    first = store.claim(Record(trial=trial, started=1.0))
    frozen = start_trial(first, file)
    assert wait_for(frozen, lambda: state_of(frozen.pid) == "T")
    second = store.claim(store.read("full-000"))
    assert (second.attempt, len(second.history)) == (2, {"checkpoint": 1, "record": 1}.get(moment, EPOCHS))
    resumed = start_trial(second, file)
    resumed.join(60)
    assert resumed.exitcode == 0
    before = {path: path.read_bytes() for path in folder.rglob("trials/*/*") if path.is_file()}
    os.kill(frozen.pid, signal.SIGCONT)
    frozen.join(60)
    assert frozen.exitcode == SUPERSEDED
    assert {path: path.read_bytes() for path in folder.rglob("trials/*/*") if path.is_file()} == before
    record = store.read("full-000")
    assert (record.attempt, record.status, len(record.history)) == (2, "finished", EPOCHS)
