"""Faults of the command: it is killed at any moment, told to end by a signal, outlived by its trials."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from upath import UPath

from fpray.records import Record, SweepFolder, Trial
from fpray.records.store import RecordStore
from tests.faults.command import SUPERSEDED, output, running_trial, standing_ray
from tests.faults.faulty import Fault, epochs_begun, log_of, plan
from tests.faults.following import begun, ended, frozen, points, ran_through, records, running, state_of, to_the_end
from tests.faults.small import SMALL, in_epoch, outcomes, write_sweep
from tests.waiting import PATIENCE_SECONDS, wait_for

METHODS = {"zero_shot": {}, "full": {"trials": 4}, "wise_ft": {"trials": 2}}
EPOCHS = 6
KILLS = 6
ALL_EPOCHS = 4 * EPOCHS
"""Of all trials of a sweep that runs through; WiSE-FT's train nothing."""
# Two trials at a time, however many processors there are.
RESOURCES = {"cpus": 0.5, "concurrency": 2}


@pytest.fixture(scope="module")
def sweep_file(tmp_path_factory: pytest.TempPathFactory, tiny_clip: str) -> Callable[[str], Path]:
    """Writes a small sweep's file, for a storage folder of its own beside it."""

    def write(name: str) -> Path:
        train = SMALL["train"] | {"epochs": EPOCHS}
        return write_sweep(tmp_path_factory.mktemp(name), tiny_clip, train=train, methods=METHODS, resources=RESOURCES)

    return write


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with standing_ray() as address:
        yield address


@pytest.fixture(scope="module")
def undisturbed(sweep_file: Callable[[str], Path]) -> Path:
    return ran_through(sweep_file("undisturbed"))


@pytest.mark.long
def test_killed_again_and_again_it_ends_the_same(
    address: str, undisturbed: Path, sweep_file: Callable[[str], Path]
) -> None:
    file, seed = sweep_file("killed"), random.randrange(10**6)
    print(f"seed {seed}")
    chance, whole = random.Random(seed), records(undisturbed)
    kept: dict[Path, bytes] = {}
    killed = 0
    for number in range(KILLS):
        moment, count = "", 0
        at_start = number % 5 == 3  # from the first line to the middle of a trial, the start of Ray between them
        if number % 5 == 0:
            moment, count = chance.choice(["write", "written"]), chance.randint(1, 2)
        elif number % 5 == 1:
            moment, count = chance.choice(["batch", "batched"]), chance.randint(1, 2)
        with running(file, None if at_start else address, moment, count) as process:
            if not moment:
                before = len(log_of(file.parent / "small"))
                if not at_start:
                    wait_for(lambda seen=before: len(log_of(file.parent / "small")) > seen, process.is_alive)
                process.join(chance.uniform(0, 10 if at_start else 2))
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


TRIALS = ("full-000", "full-001")
"""They run at the same time, after the zero-shot trial."""


# Ctrl-C goes to the command's whole group, to the processes of a Ray of its own too.
@pytest.mark.long
@pytest.mark.parametrize(
    ("own_ray", "send", "number"),
    [(False, os.kill, signal.SIGTERM), (True, os.killpg, signal.SIGINT)],
    ids=["SIGTERM", "Ctrl-C"],
)
def test_signals_end_trials_after_their_epoch(
    address: str,
    undisturbed: Path,
    sweep_file: Callable[[str], Path],
    own_ray: bool,
    send: Callable[[int, int], None],
    number: signal.Signals,
) -> None:
    file = sweep_file("signals")
    folder = file.parent / "small"
    plan(folder, {f"{trial}#1": Fault("freeze", "beat", in_epoch(2)) for trial in TRIALS})
    with running(file, None if own_ray else address) as process:
        # Both stand in their second epoch when they are asked to stop.
        assert wait_for(lambda: len(frozen(file)) == 2, process.is_alive), output(file).read_text()
        send(process.pid, number)
        assert wait_for(SweepFolder(UPath(folder)).stop.is_made, process.is_alive), output(file).read_text()
        for pid in frozen(file):
            os.kill(pid, signal.SIGCONT)
        code, said = ended(process, file)
    assert code == 128 + number, said
    assert "stopping: trials end the epoch they are in; again, and all ends at once" in said
    assert said.strip().endswith(
        "interrupted: 1 of 7 trials are done, full-000 after epoch 2 of 6, full-001 after epoch 2 of 6; "
        "the same command goes on from here"
    ), said
    assert "Traceback" not in said
    assert epochs_begun(folder) == dict.fromkeys(TRIALS, 2)
    for trial in TRIALS:
        assert len(records(file)[trial].history) == 2, "the epoch was not ended"
        assert (folder / "trials" / trial / "checkpoint" / "epoch-0002.safetensors").exists()

    code, said = to_the_end(file, address)
    assert code == 0, said
    assert outcomes(records(file).values()) == outcomes(records(undisturbed).values())
    assert begun(file) == ALL_EPOCHS


@pytest.mark.long
def test_a_second_signal_ends_all_at_once(address: str, undisturbed: Path, sweep_file: Callable[[str], Path]) -> None:
    file = sweep_file("signals")
    folder = file.parent / "small"
    plan(folder, {f"{trial}#1": Fault("hang", "beat", in_epoch(2)) for trial in TRIALS})
    with running(file) as process:
        assert wait_for(lambda: sum(words[0] == "fault" for words in log_of(folder)) == 2, process.is_alive)
        os.killpg(process.pid, signal.SIGINT)
        assert wait_for(lambda: "stopping" in output(file).read_text(), process.is_alive)
        os.killpg(process.pid, signal.SIGINT)
        code, said = ended(process, file)
    assert code == 130, said
    assert "ended at once; the same command goes on from the last checkpoints" in said
    assert "interrupted: " not in said

    code, said = to_the_end(file, address)
    assert code == 0, said
    assert outcomes(records(file).values()) == outcomes(records(undisturbed).values())
    # It has cost an epoch of each of the two trials that ran.
    assert begun(file) == ALL_EPOCHS + 2


WRITES = {"checkpoint": 4, "record": 5, "weights": 2 + 2 * EPOCHS, "last record": 4 + 2 * EPOCHS}
"""Which of a trial's writes are those of its second epoch and of its end."""


@pytest.mark.parametrize(
    "moment", ["checkpoint", *(pytest.param(m, marks=pytest.mark.long) for m in ("record", "weights", "last record"))]
)
def test_a_process_that_outlives_its_command_writes_nothing(sweep_file: Callable[[str], Path], moment: str) -> None:
    """Ray ends a dead command's processes; one that it can't reach any more is shut out by its attempt's number."""
    file = sweep_file("outlived")
    folder, store = file.parent / "small", RecordStore(UPath(file.parent / "small"))
    # Frozen after it has looked whether it may still write, right before the file comes to stand.
    plan(folder, {"full-000#1": Fault("freeze", "write", WRITES[moment])})
    trial = Trial(id="full-000", method="full", number=0, seed=0, params={"lr": 5e-4})
    first = store.claim(Record(trial=trial, started=1.0))
    with running_trial(first, file) as outliving:
        assert wait_for(lambda: state_of(outliving.pid) == "T", outliving.is_alive)
        second = store.claim(store.read("full-000"))
        assert (second.attempt, len(second.history)) == (2, {"checkpoint": 1, "record": 1}.get(moment, EPOCHS))
        with running_trial(second, file) as resumed:
            resumed.join(PATIENCE_SECONDS)
            assert resumed.exitcode == 0
        before = {path: path.read_bytes() for path in folder.rglob("trials/*/*") if path.is_file()}
        os.kill(outliving.pid, signal.SIGCONT)
        outliving.join(PATIENCE_SECONDS)
        assert outliving.exitcode == SUPERSEDED
    assert {path: path.read_bytes() for path in folder.rglob("trials/*/*") if path.is_file()} == before
    record = store.read("full-000")
    assert (record.attempt, record.status, len(record.history)) == (2, "finished", EPOCHS)
