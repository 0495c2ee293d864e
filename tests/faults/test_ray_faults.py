"""Faults of Ray's own processes: each is killed while Ray starts, and in the middle of a sweep."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from fpray.config.file import read_sweep
from tests.faults.command import output
from tests.faults.faulty import Fault, log_of, plan
from tests.faults.following import ended, records, running, to_the_end
from tests.faults.ray_processes import descendants, of_ray, three_nodes
from tests.faults.small import SMALL, in_epoch, outcomes, write_sweep
from tests.sweeps import run_here
from tests.waiting import is_alive, wait_for

pytestmark = pytest.mark.long

EPOCHS = 6
TRIALS = ("full-000", "full-001")
AT_START, IN_THE_MIDDLE = ("gcs_server", "raylet", "runtime env agent"), ("gcs_server", "raylet", "dashboard agent")
"""Without one of these there is no Ray: a raylet ends with each of its agents, at any time."""
IDLE = ("dashboard", "log monitor")
GOES_ON = "; the same command goes on from the last checkpoints"


@pytest.fixture(scope="module")
def sweep_file(tmp_path_factory: pytest.TempPathFactory, tiny_clip: str) -> Callable[..., Path]:
    """Writes a small sweep's file, for a storage folder of its own beside it."""

    def write(name: str, cpus: float = 0.5) -> Path:
        sections = {
            "train": SMALL["train"] | {"epochs": EPOCHS},
            "methods": {"full": {"trials": len(TRIALS)}},
            "resources": {"cpus": cpus, "concurrency": len(TRIALS)},
        }
        return write_sweep(tmp_path_factory.mktemp(name), tiny_clip, **sections)

    return write


@pytest.fixture(scope="module")
def undisturbed(sweep_file: Callable[..., Path]) -> dict[str, object]:
    file = sweep_file("undisturbed")
    run_here(read_sweep(file))
    return outcomes(records(file).values())


def stand_still(file: Path, attempts: int) -> None:
    """Let each trial stand still in the second epoch of each of its first attempts."""
    still = Fault("hang", "beat", in_epoch(2))
    plan(file.parent / "small", {f"{trial}#{n}": still for trial in TRIALS for n in range(1, attempts + 1)})


def standing(file: Path) -> int:
    """The number of attempts that stand still, or did."""
    return sum(words[0] == "fault" for words in log_of(file.parent / "small"))


def holder_of_a_trial(file: Path, nodes: list[psutil.Process]) -> psutil.Process:
    """The raylet of a node on which a trial stands still; a node may have both trials, or one of them."""
    pids = {int(words[2]) for words in log_of(file.parent / "small") if words[0] == "fault"}
    return next(node for node in nodes if pids & {process.pid for process in descendants(node.pid)})


STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ")
"""What a line of the log begins with."""


def assert_lost(code: int | None, said: str, but: str = "fpray: Ray's ") -> None:
    """The command has ended with one sentence, of its own.

    Args:
        but: what it may begin with instead of which of Ray's processes died.
    """
    assert code == 75, said
    (sentence,) = [line for line in said.splitlines() if not STAMP.match(line)]
    assert sentence.startswith(("fpray: Ray's ", but)) and sentence.endswith(GOES_ON)


def assert_nothing_failed(file: Path) -> None:
    assert {(r.status, r.failures, r.error) for r in records(file).values()} == {("running", 0, None)}


def assert_gone(processes: set[psutil.Process]) -> None:
    assert wait_for(lambda: not any(map(is_alive, processes)))


def test_one_dies_while_ray_starts(sweep_file: Callable[..., Path], undisturbed: dict[str, object]) -> None:
    file = sweep_file("starting")

    def command(*roles: str) -> tuple[int | None, str]:
        """Run the command, and kill a process of each role as soon as it is there."""
        with running(file) as process:
            seen: set[psutil.Process] = set()
            for role in roles:
                assert wait_for(lambda role=role: role in of_ray(process.pid), process.is_alive), output(
                    file
                ).read_text()
                of_ray(process.pid)[role][0].kill()
                seen.update(descendants(process.pid))
            wait_for(lambda: seen.update(descendants(process.pid)), process.is_alive)
            code, said = ended(process, file)
        assert_gone(seen)
        return code, said

    for role in AT_START:
        # On a busy machine the start is given up before it is known who died.
        assert_lost(*command(role), but="fpray: Ray didn't start in time on this machine")
        assert records(file) == {}
    code, said = command(*IDLE)
    assert code == 0, said
    assert outcomes(records(file).values()) == undisturbed


def test_one_dies_in_the_middle(sweep_file: Callable[..., Path], undisturbed: dict[str, object]) -> None:
    file = sweep_file("middle")
    stand_still(file, len(IN_THE_MIDDLE))
    for number, role in enumerate(IN_THE_MIDDLE, 1):
        with running(file) as process:
            assert wait_for(lambda count=number: standing(file) == 2 * count, process.is_alive)
            of_ray(process.pid)[role][0].kill()
            seen = set(descendants(process.pid))
            assert_lost(*ended(process, file))
        assert_nothing_failed(file)
        assert_gone(seen)
    with running(file) as process:
        assert wait_for(lambda: log_of(file.parent / "small")[-1][0] == "epoch", process.is_alive)
        for role in IDLE:
            of_ray(process.pid)[role][0].kill()
        code, said = ended(process, file)
    assert code == 0, said
    assert outcomes(records(file).values()) == undisturbed


def test_one_of_a_cluster_dies(sweep_file: Callable[..., Path], undisturbed: dict[str, object]) -> None:
    file = sweep_file("cluster", cpus=1)
    stand_still(file, 3)
    with three_nodes() as (address, gcs, (head, *nodes)):
        with running(file, address) as process:
            assert wait_for(lambda: standing(file) >= 2, process.is_alive), output(file).read_text()
            holder_of_a_trial(file, nodes).kill()  # a node's death: its trials go on on the other one
            assert wait_for(lambda: standing(file) >= 3, process.is_alive), output(file).read_text()
            head.kill()
            code, said = ended(process, file)
        assert code == 75, said
        assert said.splitlines()[-1] == f"fpray: Ray's raylet on this machine has died{GOES_ON}"
        stood = standing(file)
        with running(file, address) as process:
            assert wait_for(lambda: standing(file) > stood, process.is_alive), output(file).read_text()
            gcs.kill()
            code, said = ended(process, file)
        assert code == 75, said  # Ray itself may have told of the head before
        assert said.splitlines()[-1].startswith("fpray: Ray's ") and said.endswith(f"{GOES_ON}\n")
    plan(file.parent / "small", {})
    code, said = to_the_end(file)
    assert code == 0, said
    assert outcomes(records(file).values()) == undisturbed
