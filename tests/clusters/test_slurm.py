"""clusters/slurm.sh on a real SLURM: a sweep that is stopped and killed and goes on, and how the job ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clusters.slurm import Slurm
from tests.clusters.sweeps import assert_complete, epochs_done, write_cluster_sweep
from tests.hosts import Hosts, require
from tests.waiting import wait_for

pytestmark = pytest.mark.long

SCRIPT = Path(__file__).parents[2] / "clusters/slurm.sh"


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    require("munged", "sbatch", "slurmctld", "slurmd")
    with Hosts("h0", "h1") as hosts:
        yield Slurm(hosts)


def state(slurm: Slurm, job: int) -> tuple[str, str]:
    told = slurm.job(job)
    return told["JobState"], told["Restarts"]


def nothing_runs(slurm: Slurm) -> bool:
    """Whether every node is free again, with nothing left but SLURM's own processes."""
    if not slurm.all_idle():
        return False
    daemons = {"munged", "slurmctld", ": slurmscriptd", "slurmd"}
    return all(daemons.issuperset(host.processes()) for host in slurm.hosts.values())


def test_a_sweep_that_runs_out_of_time_and_one_that_is_killed_go_on_to_the_end(slurm: Slurm) -> None:
    shared = slurm.hosts.shared
    file = write_cluster_sweep(shared)
    job = slurm.submit(f"{SCRIPT} {file}")
    log = shared / f"fpray-{job}.log"
    begun = time.monotonic()

    def further_than(epochs: int) -> bool:
        done = epochs_done(shared)
        return min(done.get("full-000", 0), done.get("full-001", 0)) > epochs

    def goes_on() -> bool:
        return state(slurm, job)[0] in ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING", "REQUEUED")

    assert wait_for(lambda: further_than(0), goes_on, pause=1), log.read_text()
    print(f"first epochs after {time.monotonic() - begun:.0f} s")
    # What SLURM sends some time before the limit.
    slurm.run(f"scancel --batch --signal=USR1 {job}")
    assert wait_for(lambda: state(slurm, job) == ("RUNNING", "1"), goes_on, pause=1), log.read_text()
    print(f"stopped, requeued and running after {time.monotonic() - begun:.0f} s")
    assert "stopping: trials end the epoch they are in" in log.read_text()
    stopped = min(epochs_done(shared)["full-000"], epochs_done(shared)["full-001"])
    assert wait_for(lambda: further_than(stopped), goes_on, pause=1), log.read_text()
    # As for a job with a higher priority.
    slurm.run(f"scontrol requeue {job}")
    assert wait_for(lambda: state(slurm, job) == ("RUNNING", "2"), goes_on, pause=1), log.read_text()
    print(f"killed, requeued and running after {time.monotonic() - begun:.0f} s")
    assert wait_for(lambda: "records and report:" in log.read_text(), goes_on, pause=1), log.read_text()
    ended = time.monotonic()
    print(f"table after {ended - begun:.0f} s")
    wait_for(lambda: not goes_on(), pause=1)
    print(f"over {time.monotonic() - ended:.1f} s after the table")
    assert slurm.job(job)["ExitCode"] == "0:0", log.read_text()
    assert state(slurm, job) == ("COMPLETED", "2")
    assert_complete(shared)
    wait_for(lambda: nothing_runs(slurm), pause=1)
    print(f"given back {time.monotonic() - ended:.1f} s after the table")


@pytest.mark.parametrize(
    ("codes", "ended"),
    [((75, 0), ("COMPLETED", "1", "0:0")), ((2,), ("FAILED", "0", "2:0")), ((143,), ("FAILED", "0", "143:0"))],
    ids=["Ray died", "a mistake", "interrupted"],
)
def test_only_what_may_be_better_next_time_is_tried_again(
    slurm: Slurm, codes: tuple[int, ...], ended: tuple[str, str, str]
) -> None:
    folder = slurm.hosts.shared / f"exits-with-{codes[0]}"
    folder.mkdir()
    # In the place of fpray's, a command that ends with these codes, one after the other.
    (folder / "codes").write_text("".join(f"{code}\n" for code in codes))
    commands = f"echo $* >> {folder}/calls\ncode=$(head -1 {folder}/codes)\nsed -i 1d {folder}/codes\nexit $code\n"
    (folder / "fpray").write_text(f"#!/bin/bash\n{commands}")
    (folder / "fpray").chmod(0o755)
    job = slurm.submit(f"--nodes=1 --export=ALL,PATH={folder}:$PATH {SCRIPT} mine.yaml")
    wait_for(lambda: state(slurm, job)[0] == ended[0], pause=1)
    told = slurm.job(job)
    assert (told["JobState"], told["Restarts"], told["ExitCode"]) == ended
    calls = (folder / "calls").read_text().splitlines()
    assert len(calls) == len(codes)
    assert all(call.startswith("sweep mine.yaml --address h") for call in calls)
    wait_for(lambda: nothing_runs(slurm), pause=1)
