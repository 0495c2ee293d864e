"""What can happen to workers and nodes: one of two is killed, a node goes and another comes, one is drained."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import ray
import torch
from faulty import Fault, epochs_begun, log_of, plan, work
from ray._raylet import GcsClient
from ray.cluster_utils import Cluster
from ray.core.generated import autoscaler_pb2
from small import SMALL, outcomes
from upath import UPath

from fpray.config import Sweep
from fpray.executor import Work, execute
from fpray.records import Record
from fpray.runtime import Runtime
from fpray.schedule import Schedule
from fpray.store import RecordStore
from fpray.sweepfile import check_sweep

NODE = {"num_cpus": 1, "num_gpus": 1}
HEALTH = {"health_check_period_ms": 500, "health_check_failure_threshold": 3, "health_check_timeout_ms": 2000}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head that gives no CPUs away, and two nodes with one each, and with a GPU that only Ray believes in."""
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "_system_config": HEALTH})
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
    execute(Schedule(sweep, []), sweep, UPath(folder), 2 // sweep.resources.workers, lambda record: None, work)
    return {record.trial.id: record for record in RecordStore(UPath(folder)).read_all()}


def on_no_gpu(record: Record, sweep: Sweep, folder: UPath, runtime: Runtime) -> None:
    """The trial of a sweep that asks Ray for a GPU, on the CPU."""
    work(record, sweep, folder, dataclasses.replace(runtime, device=torch.device("cpu")))


def test_a_killed_worker_of_two_and_a_loss_that_is_not_finite(
    cluster: Cluster, small: Callable[..., Sweep], tmp_path: Path
) -> None:
    sweep = small(1, 3, resources={"workers": 2})
    methods = {"full": {"trials": 1}, "l2": {"trials": 1, "lr": 1e30}}
    whole, bad = run(small(1, 3, resources={"workers": 2}, methods=methods), tmp_path / "whole").values()
    assert (bad.trial.method, bad.status, bad.attempt) == ("l2", "failed", 1)
    assert "is not finite" in str(bad.error)
    # Before a report, in the second epoch; while the checkpoint of one is written; right after the record of one.
    faults = {
        "full-000#1": Fault("kill", "beat", 10, rank=1),
        "full-000#2": Fault("kill", "write", 4),
        "full-000#3": Fault("kill", "written", 3),
    }
    plan(tmp_path / "killed", faults)
    (killed,) = run(sweep, tmp_path / "killed").values()
    assert [words[1] for words in log_of(tmp_path / "killed") if words[0] == "fault"] == ["kill"] * 3
    assert (killed.status, killed.attempt) == ("finished", 4), killed.error
    assert outcomes([killed]) == outcomes([whole])
    assert epochs_begun(tmp_path / "killed")["full-000"] <= 3 + len(faults)


def test_a_node_that_goes_and_one_that_comes_and_one_that_is_drained(
    cluster: Cluster, small: Callable[..., Sweep], tmp_path: Path
) -> None:
    sweep = small(4, 12, resources={"gpus": 1})
    whole, folder = run(sweep, tmp_path / "whole", on_no_gpu), tmp_path / "disturbed"
    nodes = list(cluster.nodes)
    client = GcsClient(address=cluster.address)

    def begun() -> int:
        return sum(epochs_begun(folder).values())

    def wait_for(epochs: int) -> None:
        while begun() < epochs:
            assert running.is_alive(), "the sweep ended too soon"
            running.join(0.05)

    # Ray makes and removes nodes in the main thread only.
    running = threading.Thread(target=run, args=(sweep, folder, on_no_gpu), daemon=True)
    running.start()
    wait_for(6)
    cluster.remove_node(nodes[0], allow_graceful=False)
    cluster.add_node(**NODE)
    wait_for(28)
    # A preemption notice, as a cloud gives it: the node goes soon after.
    reason = autoscaler_pb2.DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")
    client.drain_node(nodes[1].node_id, reason, "preemption", 0)
    cluster.remove_node(nodes[1], allow_graceful=False)
    cluster.add_node(**NODE)
    running.join(240)
    assert not running.is_alive()
    records = {record.trial.id: record for record in RecordStore(UPath(folder)).read_all()}
    assert outcomes(records.values()) == outcomes(whole.values())
    attempts = sum(record.attempt for record in records.values())
    assert attempts > 4, "nothing happened to any trial"
    assert begun() - 4 * 12 <= attempts - 4
