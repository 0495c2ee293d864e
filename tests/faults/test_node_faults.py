"""Faults of workers and nodes: one of two is killed, a node goes and another comes, one is drained."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import ray
import torch
from ray._raylet import GcsClient
from ray.cluster_utils import Cluster
from ray.core.generated import autoscaler_pb2
from upath import UPath

from fpray.config import Sweep, TrialSettings
from fpray.config.file import check_sweep
from fpray.execution.executor import execute
from fpray.records import Record, SweepFolder
from fpray.search.schedule import Schedule
from fpray.training import Runtime, Work
from tests.faults.faulty import Fault, epochs_begun, log_of, plan, work
from tests.faults.small import SMALL, in_epoch, outcomes
from tests.sweeps import records_in, room_for, run_here
from tests.waiting import PATIENCE_SECONDS, wait_for

pytestmark = pytest.mark.long

NODE = {"num_cpus": 1, "num_gpus": 1}
# A node that is gone refuses the question whether it is well, at once; one that is busy may take long to answer.
HEALTH = {"health_check_period_ms": 500, "health_check_failure_threshold": 5, "health_check_timeout_ms": 10000}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head that gives no CPUs away, and two nodes with one each, and with a GPU that only Ray believes in."""
    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": HEALTH}
    made = Cluster(initialize_head=True, head_node_args=head)
    made.nodes = [made.add_node(**NODE) for _ in range(2)]
    ray.init(address=made.address, log_to_driver=False, logging_level="error")
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture(scope="module")
def small(tiny_clip: str) -> Callable[..., Sweep]:
    def make(trials: int, epochs: int, **sections: object) -> Sweep:
        train = SMALL["train"] | {"epochs": epochs}
        content = SMALL | {"model": {"name": tiny_clip}, "train": train, "methods": {"full": {"trials": trials}}}
        return check_sweep(content | sections, "small")

    return make


def run(sweep: Sweep, folder: Path, work: Work = work) -> dict[str, Record]:
    execute(Schedule(sweep, []), SweepFolder(UPath(folder)), room=room_for(2 // sweep.resources.workers), work=work)
    return records_in(folder)


def on_no_gpu(record: Record, settings: TrialSettings, folder: SweepFolder, runtime: Runtime) -> None:
    """The trial of a sweep that asks Ray for a GPU, on the CPU."""
    work(record, settings, folder, dataclasses.replace(runtime, device=torch.device("cpu")))


def test_a_killed_worker_of_two_and_a_loss_that_is_not_finite(
    cluster: Cluster, small: Callable[..., Sweep], tmp_path: Path
) -> None:
    sweep = small(1, 3, resources={"workers": 2})
    methods = {"full": {"trials": 1}, "l2": {"trials": 1, "lr": 1e30}}
    whole, bad = run(small(1, 3, resources={"workers": 2}, methods=methods), tmp_path / "whole").values()
    assert (bad.trial.method, bad.status, bad.attempt) == ("l2", "failed", 1)
    assert "is not finite" in str(bad.error)
    # The second in the second epoch; the first while it writes that epoch's checkpoint.
    faults = {
        "full-000#1": Fault("kill", "beat", in_epoch(2), rank=1),
        "full-000#2": Fault("kill", "write", 4),
    }
    plan(tmp_path / "killed", faults)
    (killed,) = run(sweep, tmp_path / "killed").values()
    assert [words[1] for words in log_of(tmp_path / "killed") if words[0] == "fault"] == ["kill"] * 2
    assert (killed.status, killed.attempt) == ("finished", 3), killed.error
    assert outcomes([killed]) == outcomes([whole])
    assert epochs_begun(tmp_path / "killed")["full-000"] <= 3 + len(faults)


def test_a_node_that_goes_and_one_that_comes_and_one_that_is_drained(
    cluster: Cluster, small: Callable[..., Sweep], tmp_path: Path
) -> None:
    sweep, folder = small(4, 12, resources={"gpus": 1}), tmp_path / "disturbed"
    run_here(small(4, 12, storage=str(tmp_path)))
    whole = records_in(tmp_path / "small")
    nodes = list(cluster.nodes)
    client = GcsClient(address=cluster.address)
    # The first two trials, one on each node, stay in their second epoch until their node goes.
    plan(folder, {f"full-00{n}#1": Fault("hang", "beat", in_epoch(2)) for n in (0, 1)})

    def begun() -> int:
        return sum(epochs_begun(folder).values())

    # Ray makes and removes nodes in the main thread only.
    running = threading.Thread(target=run, args=(sweep, folder, on_no_gpu), daemon=True)
    running.start()
    assert wait_for(lambda: sum(words[0] == "fault" for words in log_of(folder)) == 2, running.is_alive)
    cluster.remove_node(nodes[0], allow_graceful=False)
    cluster.add_node(**NODE)
    assert wait_for(lambda: begun() > 2 * 2, running.is_alive)  # the trial goes on, on the node that came
    # A preemption notice, as a cloud gives it: the node goes soon after.
    reason = autoscaler_pb2.DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")
    client.drain_node(nodes[1].node_id, reason, "preemption", 0)
    cluster.remove_node(nodes[1], allow_graceful=False)
    cluster.add_node(**NODE)
    running.join(PATIENCE_SECONDS)
    assert not running.is_alive()
    records = records_in(folder)
    assert outcomes(records.values()) == outcomes(whole.values())
    assert records["full-000"].attempt > 1 and records["full-001"].attempt > 1
    attempts = sum(record.attempt for record in records.values())
    assert begun() - 4 * 12 <= attempts - 4
