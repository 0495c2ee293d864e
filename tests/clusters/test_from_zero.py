"""A cluster that grows from zero: Ray's own autoscaler starts nodes on a real host when a sweep wants them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fpray.testing import make_tiny_clip
from tests.clusters.nodes import nodes
from tests.clusters.refusing import WHY
from tests.faults.small import SMALL, write_sweep
from tests.hosts import Host, Hosts, require
from tests.sweeps import records_in
from tests.waiting import wait_for

pytestmark = pytest.mark.long
require()

HEAD_ID = "f" * 51 + "00000"
COMMANDS = ("initialization", "setup", "head_setup", "worker_setup", "head_start_ray", "worker_start_ray")
PROVIDER = {
    "head_node_id": HEAD_ID,
    "launch_multiple": True,
    "disable_launch_config_check": True,
    "disable_node_updaters": True,
    "worker_liveness_check": False,
    "use_node_id_as_ip": True,  # all nodes have the host's address: else the autoscaler waits for the first for ever
}
"""As Ray's own tests have it: the nodes are processes, on which nothing is to be set up."""
WORKER = {"resources": {"CPU": 1}, "node_config": {}, "min_workers": 0, "max_workers": 2}


@pytest.fixture
def host() -> Iterator[tuple[Host, Path]]:
    """A host, and a folder of its with a small CLIP in it."""
    with Hosts("head") as hosts:
        make_tiny_clip(hosts.shared)
        yield hosts["head"], hosts.shared


def start_head(host: Host, shared: Path, provider: dict[str, Any]) -> None:
    """Start a head whose autoscaler starts nodes as processes beside it, two at most."""
    config = {
        "cluster_name": "from-zero",
        "max_workers": 2,
        "idle_timeout_minutes": 60,
        "provider": PROVIDER | provider,
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
            "worker": WORKER,
        },
        "head_node_type": "ray.head.default",  # so the provider calls it
        "auth": {"ssh_user": "root"},
        "file_mounts": {},
        "cluster_synced_files": [],
        "upscaling_speed": 10,
        **{f"{kind}_commands": [] for kind in COMMANDS},
    }
    (shared / "cluster.yaml").write_text(yaml.safe_dump(config))
    environment = "RAY_AUTH_MODE=disabled RAY_FAKE_CLUSTER=1 AUTOSCALER_UPDATE_INTERVAL_S=1 "
    environment += f"RAY_OVERRIDE_NODE_ID_FOR_TESTING={HEAD_ID} RAY_CLOUD_INSTANCE_ID={HEAD_ID}"
    host.run(
        f"{environment} ray start --head --port=6379 --num-cpus=0 --include-dashboard=false "
        f"--object-store-memory=100000000 --autoscaling-config={shared}/cluster.yaml"
    )


def sweep(host: Host, file: Path, options: str = "", check: bool = True) -> str:
    command = f"RAY_AUTH_MODE=disabled python -m fpray.sweep {file} --address 127.0.0.1:6379 {options}"
    return host.run(command, timeout=600, check=check).stdout


def nodes_started(host: Host) -> int:
    """How many nodes there have ever been besides the head; one that had nothing to do may have gone."""
    return nodes(host, "127.0.0.1:6379", "RAY_AUTH_MODE=disabled").ever - 1


def test_a_sweep_asks_for_the_nodes_that_it_can_use_and_no_more(host: tuple[Host, Path]) -> None:
    here, shared = host
    start_head(here, shared, {"type": "fake_multinode"})
    one = {"methods": {"zero_shot": {}}, "name": "one"}
    said = sweep(here, write_sweep(shared, f"local-dir:{shared}", **one))
    assert "waiting for nodes: 1 node(s) asked for" in said
    assert nodes_started(here) == 1
    assert {record.status for record in records_in(shared / "one").values()} == {"finished"}
    # More trials than two nodes hold, and long enough for the one to come that isn't there yet.
    train = SMALL["train"] | {"epochs": 20}
    said = sweep(
        here, write_sweep(shared, f"local-dir:{shared}", methods={"zero_shot": {}, "full": {"trials": 3}}, train=train)
    )
    assert "waiting for nodes: 1 node(s) asked for" in said
    assert nodes_started(here) == 2, said
    records = records_in(shared / "small")
    assert {record.status for record in records.values()} == {"finished"} and len(records) == 4


def test_what_it_can_never_hold_is_refused_before_it_grows(host: tuple[Host, Path]) -> None:
    here, shared = host
    start_head(here, shared, {"type": "fake_multinode"})
    # Two nodes have two CPUs together; none has two.
    said = sweep(here, write_sweep(shared, f"local-dir:{shared}", resources={"cpus": 2}), "; echo code $?", check=False)
    assert "the nearest node, worker, has 1 CPU(s) and 0 GPU(s); ask for {cpus: 1}, or add nodes" in said
    assert "code 2" in said
    assert nodes_started(here) == 0


def test_the_autoscaler_says_why_no_node_comes(host: tuple[Host, Path]) -> None:
    here, shared = host
    start_head(here, shared, {"type": "external", "module": "tests.clusters.refusing.Refusing"})
    file = write_sweep(shared, f"local-dir:{shared}", methods={"zero_shot": {}})
    command = f"RAY_AUTH_MODE=disabled python -m fpray.sweep {file} --address 127.0.0.1:6379"
    with (shared / "said").open("wb") as said:
        running = here.popen(f"{command}; echo code $?", stdout=said, stderr=said)
    ask = (
        "import ray; from fpray.execution.ray_internals import autoscaler_complaints; "
        "ray.init('127.0.0.1:6379', log_to_driver=False); print(autoscaler_complaints())"
    )
    complained = f"RAY_AUTH_MODE=disabled python -c {ask!r}"
    assert wait_for(lambda: WHY in here.run(complained).stdout, lambda: running.poll() is None, pause=5)
    assert "waiting for nodes: 1 node(s) asked for" in (shared / "said").read_text()
    # While it waits it can be interrupted: no trial runs that would have to end first.
    here.run("pkill --signal TERM --full '^python -m fpray.sweep'")
    running.wait(120)
    told = (shared / "said").read_text()
    assert re.search(r"interrupted: 0 of 1 trials are done, .*the same command goes on", told)
    assert "code 143" in told
