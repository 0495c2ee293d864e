"""A cluster of several nodes that come and go while a sweep runs, with GPUs of two kinds that only Ray believes in."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster as Nodes
from upath import UPath

from fpray.config import Sweep, TrialSettings
from fpray.execution.cluster import Cluster
from fpray.execution.executor import execute
from fpray.records import Count, Record, SweepFolder
from fpray.search.schedule import Schedule
from fpray.training import Runtime
from tests.sweeps import records_in, sweep_of
from tests.waiting import PATIENCE_SECONDS, wait_for

pytestmark = pytest.mark.long


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    """A head that gives no CPUs away."""
    made = Nodes(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    ray.init(address=made.address, log_to_driver=False, logging_level="error")
    yield made
    ray.shutdown()
    made.shutdown()


def work_in(folder: Path) -> Callable[[Record, TrialSettings, SweepFolder, Runtime], None]:
    """Trials that write down where they run, and go on until they are let end."""

    def work(record: Record, settings: TrialSettings, place: SweepFolder, runtime: Runtime) -> None:
        node = ray.get_runtime_context().get_node_id()
        being_written = folder / f"{record.trial.id}.part"
        being_written.write_text(node)
        being_written.rename(folder / f"{record.trial.id}.begun")  # whole, whenever it is looked at
        wait_for((folder / "go").exists)
        counts = {split: Count(correct=1, total=2) for split in ("id/val", "ood/a/val")}
        place.records.write(record.finished(results=counts))

    return work


def begun_on(folder: Path) -> dict[str, str]:
    """The node of each trial that has begun."""
    return {path.stem: path.read_text() for path in folder.glob("*.begun")}


class Running:
    """A sweep that runs in another thread, with the cluster that it looks at."""

    def __init__(self, sweep: Sweep, folder: Path) -> None:
        self.sweep, self.folder = sweep, folder
        self.cluster = Cluster(sweep, own=False)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.is_alive = self._thread.is_alive

    def _run(self) -> None:
        with self.cluster:
            folder = SweepFolder(UPath(self.folder))
            execute(Schedule(self.sweep, []), folder, room=self.cluster.room, work=work_in(self.folder))

    def end(self) -> dict[str, Record]:
        (self.folder / "go").touch()
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive()
        return records_in(self.folder)


def test_a_node_that_joins_gets_trials_and_one_that_leaves_is_not_counted(nodes: Nodes, tmp_path: Path) -> None:
    first = nodes.add_node(num_cpus=4, num_gpus=2)
    sweep = sweep_of(methods={"full": {"trials": 9}}, resources={"gpus": 1})
    needs = sweep.resources_of("full")
    running = Running(sweep, tmp_path)
    assert running.cluster.room().at_once(needs, 9) == 2
    assert wait_for(lambda: len(begun_on(tmp_path)) == 2, running.is_alive)
    joined = time.time()
    second = nodes.add_node(num_cpus=4, num_gpus=2)
    assert wait_for(lambda: second.node_id in begun_on(tmp_path).values(), running.is_alive)
    assert wait_for(lambda: len(begun_on(tmp_path)) == 4, running.is_alive)
    on_second = [p for p in tmp_path.glob("*.begun") if p.read_text() == second.node_id]
    print(f"to the first trial on a node that joined: {min(p.stat().st_mtime for p in on_second) - joined:.1f} s")
    nodes.remove_node(first, allow_graceful=False)
    assert wait_for(lambda: running.cluster.room().at_once(needs, 9) == 2, running.is_alive)
    records = running.end()
    assert {record.status for record in records.values()} == {"finished"} and len(records) == 9
    assert set(begun_on(tmp_path).values()) == {second.node_id}  # those of the first were tried again there


def test_all_nodes_leave_and_the_sweep_waits_for_one(nodes: Nodes, tmp_path: Path) -> None:
    only = nodes.add_node(num_cpus=1, num_gpus=1)
    sweep = sweep_of(methods={"full": {"trials": 2}}, resources={"gpus": 1, "max_failures": 3})
    running = Running(sweep, tmp_path)
    assert wait_for(lambda: begun_on(tmp_path), running.is_alive)
    nodes.remove_node(only, allow_graceful=False)
    assert wait_for(lambda: not running.cluster.room().holds([sweep.resources_of("full")]), running.is_alive)
    nodes.add_node(num_cpus=1, num_gpus=1)
    assert {record.status for record in running.end().values()} == {"finished"}


def test_kinds_of_gpus_and_parts_of_them_are_given_to_those_who_ask(nodes: Nodes, tmp_path: Path) -> None:
    a10g = nodes.add_node(num_cpus=4, num_gpus=1, resources={"accelerator_type:A10G": 1})
    v100 = nodes.add_node(num_cpus=8, num_gpus=2, resources={"accelerator_type:V100": 1})
    methods = {
        "zero_shot": {"resources": {"gpus": 0.25, "accelerator": "A10G"}},
        "linear_probe": {"trials": 2, "resources": {"gpus": 0.25, "accelerator": "A10G"}},
        "full": {"trials": 3, "resources": {"accelerator": "V100", "cpus": 2}},
    }
    sweep = sweep_of(methods=methods, resources={"gpus": 1})
    running = Running(sweep, tmp_path)
    # Two whole V100s, and three quarters of the A10G; the third that wants a V100 waits.
    assert wait_for(lambda: len(begun_on(tmp_path)) == 5, running.is_alive)
    on = begun_on(tmp_path)
    assert sorted(on) == ["full-000", "full-001", "linear_probe-000", "linear_probe-001", "zero_shot-000"]
    records = running.end()
    assert {record.status for record in records.values()} == {"finished"} and len(records) == 6
    for trial, node in begun_on(tmp_path).items():
        assert node == (v100 if trial.startswith("full") else a10g).node_id, trial
