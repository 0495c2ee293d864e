"""What can happen to machines: one of a trial's workers dies, a node dies, a node is given notice and then goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import faulty
import pytest
import ray
from faulty import Fault, epochs_begun, log_of, note, plan
from ray.cluster_utils import Cluster
from ray.core.generated.autoscaler_pb2 import DrainNodeReason
from small import SMALL, outcomes
from upath import UPath

from fpray.config import Sweep
from fpray.executor import execute
from fpray.records import Record, RecordStore
from fpray.runtime import Runtime
from fpray.schedule import Schedule
from fpray.sweepfile import check_sweep

# Nodes are told apart by ids, and the trials of this sweep need CPUs alone.
ONE_CPU = {"num_cpus": 1, "include_dashboard": False}
QUICK = {"health_check_period_ms": 500, "health_check_failure_threshold": 4, "health_check_initial_delay_ms": 0}
EPOCHS = 12
NOTICE_SECONDS = 4
# An epoch is 2 steps and 6 evaluated batches of each worker; of the files, the main worker writes the record first,
# then each epoch's checkpoint and record.
IN_EPOCH_2, CHECKPOINT_3 = 10, 4


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A head that runs no trials, and two nodes that run one each."""
    cluster = Cluster(True, head_node_args=ONE_CPU | {"num_cpus": 0, "_system_config": QUICK})
    for _ in range(2):
        cluster.add_node(**ONE_CPU)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture(scope="module")
def small(tiny_clip: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Sweep, Path]]:
    """Makes a small sweep, and its folder."""

    def make(trials: int, epochs: int, **sections: Any) -> tuple[Sweep, Path]:
        train = SMALL["train"] | {"epochs": epochs} | sections.pop("train", {})
        content = {"model": {"name": tiny_clip}, "train": train, "methods": {"full": {"trials": trials}}}
        return check_sweep(SMALL | content | sections, "small"), tmp_path_factory.mktemp("small")

    return make


def work(record: Record, sweep: Sweep, folder: UPath, runtime: Runtime) -> None:
    """Run a trial, and tell on which node."""
    node = ray.get_runtime_context().get_node_id()
    note(Path(folder.path) / "faults.log", f"on {record.trial.id}#{record.attempt} {node}")
    faulty.work(record, sweep, folder, runtime)


def run(sweep: Sweep, folder: Path, at_once: int) -> dict[str, Record]:
    """Run a sweep to its end; its records."""
    execute(Schedule(sweep, []), sweep, UPath(folder), at_once, lambda record: None, work)
    return {r.trial.id: r for r in RecordStore(UPath(folder)).read_all()}


def rounded(records: dict[str, Record]) -> list[object]:
    """The outcomes, with sums over two workers rounded: their order is not always the same."""
    return [
        (id, r.status, r.trial, r.results, [(e.epoch, e.validation) for e in r.history]) for id, r in records.items()
    ]


def losses(record: Record) -> list[float]:
    return [value for epoch in record.history for value in epoch.losses.values()]


@pytest.mark.usefixtures("cluster")
def test_killed_workers_of_a_group_of_two(small: Callable[..., tuple[Sweep, Path]]) -> None:
    sweep, calm = small(1, 3, resources={"workers": 2})
    expected = run(sweep, calm, 1)
    sweep, folder = small(1, 3, resources={"workers": 2})
    plan(
        folder,
        {
            "full-000#1": Fault("kill", "beat", IN_EPOCH_2, rank=1),
            "full-000#2": Fault("kill", "write", CHECKPOINT_3, rank=0),
        },
    )
    found = run(sweep, folder, 1)
    assert [words[1] for words in log_of(folder) if words[0] == "fault"] == ["kill", "kill"]
    assert (found["full-000"].status, found["full-000"].attempt) == ("finished", 3), found["full-000"].error
    assert rounded(found) == rounded(expected)
    assert losses(found["full-000"]) == pytest.approx(losses(expected["full-000"]), rel=1e-4)
    assert epochs_begun(folder)["full-000"] == 3 + 2  # each kill cost one


@pytest.mark.usefixtures("cluster")
def test_a_loss_that_is_not_finite_in_a_group_of_two_fails_the_trial_at_once(
    small: Callable[..., tuple[Sweep, Path]],
) -> None:
    sweep, folder = small(1, 3, resources={"workers": 2}, train={"lr": 1e30})
    record = run(sweep, folder, 1)["full-000"]
    assert (record.status, record.attempt) == ("failed", 1)
    assert "not finite" in str(record.error)
    assert str(record.error).strip().endswith("try a lower learning rate")


def wait_for(happened: Callable[[], Any], seconds: float = 120) -> Any:
    """Wait until something is so; what it gave."""
    deadline = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)
    return found


def training_on(folder: Path, node: str) -> str | None:
    """The trial that is in its third epoch or later on a node."""
    lines = log_of(folder)
    for _, key, place in (words for words in lines if words[0] == "on"):
        if place == node and lines.count(["epoch", key]) > 2 and ["end", key] not in lines:
            return key.partition("#")[0]
    return None


def dead(node: str) -> bool:
    return not next(n["Alive"] for n in ray.nodes() if n["NodeID"] == node)


def give_notice(cluster: Cluster, node: str) -> None:
    """Tell Ray what a cloud does of a spot instance: that it goes in some seconds."""
    deadline = int(time.time() + NOTICE_SECONDS) * 1000
    preemption = DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")
    accepted, why = ray._raylet.GcsClient(address=cluster.address).drain_node(node, preemption, "going", deadline)
    assert accepted, why


def test_nodes_that_go_and_come(cluster: Cluster, small: Callable[..., tuple[Sweep, Path]]) -> None:
    sweep, calm = small(4, EPOCHS)
    expected = run(sweep, calm, 2)
    sweep, folder = small(4, EPOCHS)
    hit: list[str] = []

    def weather() -> None:
        first, second = list(cluster.worker_nodes)
        hit.append(wait_for(lambda: training_on(folder, first.node_id)))
        cluster.remove_node(first, allow_graceful=False)
        third = cluster.add_node(**ONE_CPU)
        wait_for(lambda: training_on(folder, third.node_id))
        hit.append(wait_for(lambda: training_on(folder, second.node_id)))
        give_notice(cluster, second.node_id)
        cluster.add_node(**ONE_CPU)
        t = time.time()
        try:
            wait_for(lambda: dead(second.node_id), 12)
        except AssertionError:
            print("not dead by itself")
        print("dead after", time.time() - t)

    with ThreadPoolExecutor() as threads:
        events = threads.submit(weather)
        found = run(sweep, folder, 2)
        events.result()
    print(hit, epochs_begun(folder), *log_of(folder), sep="\n")
    assert outcomes(found.values()) == outcomes(expected.values())
    assert {id: r.attempt for id, r in found.items()} == {id: 1 + hit.count(id) for id in found}
    for id, begun in epochs_begun(folder).items():
        assert begun <= EPOCHS + hit.count(id)
