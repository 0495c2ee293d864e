"""Faults of the sweep's folder: damaged files, a full disk, a folder that may no longer be written."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.faults.command import output, standing_ray
from tests.faults.faulty import Fault, epochs_begun, log_of, plan
from tests.faults.following import begun, ended, frozen, points, ran_through, records, running, to_the_end
from tests.faults.small import SMALL, in_epoch, outcomes, write_sweep
from tests.waiting import wait_for

EPOCHS = 6
LONG = {"train": SMALL["train"] | {"epochs": EPOCHS}, "methods": {"full": {"trials": 4}}}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with standing_ray() as address:
        yield address


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, tiny_clip: str) -> Path:
    return ran_through(write_sweep(tmp_path_factory.mktemp("undisturbed"), tiny_clip, **LONG))


@pytest.mark.long
def test_damaged_files_cost_what_was_in_them_alone(
    address: str, undisturbed: Path, tmp_path: Path, tiny_clip: str
) -> None:
    file = write_sweep(tmp_path, tiny_clip, **LONG)
    trials = tmp_path / "small" / "trials"

    def kept(trial: str) -> list[Path]:
        return sorted((trials / trial / "checkpoint").glob("epoch-*.safetensors"))

    # The first two have ended, the others stand in their fourth epoch.
    half_way = ("full-002", "full-003")
    plan(tmp_path / "small", {f"{trial}#1": Fault("hang", "beat", in_epoch(4)) for trial in half_way})
    with running(file, address) as process:
        assert wait_for(lambda: sum(w[0] == "fault" for w in log_of(tmp_path / "small")) == 2, process.is_alive)
        process.kill()
        ended(process, file)
    found = records(file)
    assert {found[f"full-00{n}"].status for n in (0, 1)} == {"finished"}
    truncated, garbage = (kept(trial)[-1] for trial in half_way)
    assert {path.stem for path in (truncated, garbage)} == {"epoch-0003"}
    truncated.write_bytes(truncated.read_bytes()[:-1000])
    garbage.write_bytes(os.urandom(5000))
    record = trials / "full-000" / "record.json"
    record.write_bytes(record.read_bytes()[:500])
    untouched = {path: path.read_bytes() for path in (trials / "full-001").iterdir()}
    before = begun(file)

    code, said = to_the_end(file, address)
    assert code == 0, said
    assert f"warning: '{record}' is damaged; the trial runs again" in said
    assert said.count("warning: ") == 1
    assert outcomes(records(file).values()) == outcomes(records(undisturbed).values())
    assert {path: path.read_bytes() for path in (trials / "full-001").iterdir()} == untouched
    assert points(file) == points(undisturbed)
    # One trial is done again whole; of the two others what comes after their second checkpoint: the third was damaged.
    assert begun(file) - before == EPOCHS + 2 * (EPOCHS - 2)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 12 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """There is no room."""
    ballast = disk / "ballast"
    with pytest.raises(OSError) as caught, ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    assert caught.value.errno == errno.ENOSPC
    yield
    ballast.unlink()


@contextmanager
def read_only(disk: Path) -> Iterator[None]:
    """Nothing can be written: the folder lies read-only over itself (while files are open, a remount is refused)."""
    subprocess.run(["mount", "--bind", disk, disk], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", disk], check=True)
        yield
    finally:  # what lies above would keep the disk from being unmounted
        subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.long
@pytest.mark.parametrize(("trouble", "why"), [(full, "no space left on device"), (read_only, "read-only file system")])
def test_a_disk_that_takes_nothing_ends_the_command_and_no_trial(
    trouble: Callable[[Path], AbstractContextManager[None]],
    why: str,
    address: str,
    undisturbed: Path,
    disk: Path,
    tmp_path_factory: pytest.TempPathFactory,
    tiny_clip: str,
) -> None:
    beside = tmp_path_factory.mktemp("beside")  # the file and what the command says are not on that disk
    file = beside / "sweep.yaml"
    shutil.copy(write_sweep(disk, tiny_clip, **LONG | {"methods": {"full": {"trials": 2}}}), file)
    on_disk = disk / "sweep.yaml"

    # Both trials stand in their second epoch when the trouble begins.
    plan(disk / "small", {f"full-00{n}#1": Fault("freeze", "beat", in_epoch(2)) for n in (0, 1)})
    with running(file, address) as process:
        assert wait_for(lambda: len(frozen(on_disk)) == 2, process.is_alive), output(file).read_text()
        with trouble(disk):
            for pid in frozen(on_disk):
                os.kill(pid, signal.SIGCONT)
            for code, said in (ended(process, file), to_the_end(file, address)):  # in the middle; and it doesn't start
                assert code == 2, said
                last = said.strip().splitlines()[-1]
                assert last.startswith("fpray: storage: can't write to '"), said
                assert why in last
                assert "Traceback" not in said
                assert {r.status for r in records(on_disk).values()} <= {"running", "finished"}
    code, said = to_the_end(file, address)
    assert code == 0, said
    whole = outcomes(records(undisturbed).values())
    assert outcomes(records(on_disk).values()) == {id: whole[id] for id in ("full-000", "full-001")}


@pytest.mark.long
def test_no_room_for_the_weights_is_not_the_trials_fault(address: str, tmp_path: Path, tiny_clip: str) -> None:
    file = write_sweep(tmp_path, tiny_clip, methods={"full": {"trials": 1}})
    plan(tmp_path / "small", {"full-000#1": Fault("fill_the_disk", "write", 8)})
    code, said = to_the_end(file, address)
    assert code == 2, said
    assert said.strip().endswith(
        "fpray: storage: can't write to 'a file of the trial': no space left on device; mend that, and the same "
        "command goes on from here"
    )
    assert records(file)["full-000"].status == "running"
    assert to_the_end(file, address)[0] == 0
    assert begun(file) == SMALL["train"]["epochs"]  # only the weights were left to write


@pytest.mark.long
def test_a_lost_loader_process_and_a_loss_that_is_not_finite(
    address: str, undisturbed: Path, tmp_path: Path, tiny_clip: str
) -> None:
    methods = {"full": {"trials": 1}, "l2": {"trials": 1, "lr": 1e30}}
    file = write_sweep(tmp_path, tiny_clip, **LONG | {"methods": methods, "resources": {"loader_workers": 1}})
    plan(tmp_path / "small", {"full-000#1": Fault("lose_a_loader", "beat", in_epoch(2))})
    code, said = to_the_end(file, address)
    assert code == 1, said
    assert "failed: l2-000: the loss is not finite in epoch 1: " in said
    lost, bad = (records(file)[id] for id in ("full-000", "l2-000"))
    assert outcomes([lost]) == outcomes([records(undisturbed)["full-000"]])  # which had no loader processes
    assert (lost.attempt, bad.status, bad.attempt) == (2, "failed", 1)
    assert "is not finite" in str(bad.error)
    epochs = epochs_begun(tmp_path / "small")
    assert (epochs["full-000"], epochs["l2-000"]) == (EPOCHS + 1, 1)
