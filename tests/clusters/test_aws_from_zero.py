"""A sweep on the cluster that cluster.yaml makes: its own command, on the head, has the GPU nodes launched it needs."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.clusters.moto import BUCKET, Cloud
from tests.faults.small import SMALL
from tests.hosts import Hosts, require
from tests.waiting import wait_for

pytestmark = pytest.mark.long

MOST = 4
COMMAND = "python -m fpray.sweep my-sweep.yaml --address auto"


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    """After `ray up`, with Ray on the head."""
    require("flock", "setsid")
    with Hosts("head") as hosts:
        made = Cloud(hosts["head"], MOST)
        made.up(made.text)
        made.start_head()
        yield made


def write_sweep(cloud: Cloud, cpus: int, **sections: Any) -> None:
    sections |= {
        "methods": {"zero_shot": {}, "full": {"trials": 2}},
        "resources": {"gpus": 1, "cpus": cpus},
        "storage": f"s3://{BUCKET}/fpray",
        "tracking": None,
    }
    cloud.write("my-sweep.yaml", yaml.safe_dump(SMALL | sections))


def test_what_no_gpu_node_holds_is_refused_and_none_is_launched(cloud: Cloud) -> None:
    write_sweep(cloud, cpus=20)
    done = cloud.host.run(cloud.on_head(COMMAND), timeout=300, check=False)
    assert done.returncode == 2
    assert "the nearest node, gpu_worker, has 16 CPU(s) and 1 GPU(s) of type A10G; ask for {cpus: 16}" in done.stdout
    assert cloud.machines("gpu_worker") == []


def begin(cloud: Cloud) -> subprocess.Popen[bytes]:
    return cloud.host.popen(cloud.on_head(f"exec {COMMAND} > said 2>&1"))


def has_said(cloud: Cloud, line: str, sweep: subprocess.Popen[bytes]) -> bool:
    return wait_for(lambda: line in cloud.host.run("cat said").stdout, lambda: sweep.poll() is None, pause=1)


def kill(sweep: subprocess.Popen[bytes]) -> None:
    os.killpg(sweep.pid, signal.SIGKILL)
    sweep.wait()


def test_what_auto_stands_for_is_tried_on_one_node_that_is_waited_for_aloud(cloud: Cloud) -> None:
    write_sweep(cloud, cpus=12, name="auto")
    sweep = begin(cloud)
    assert has_said(cloud, "trying on a GPU what train.compile should be", sweep)
    assert has_said(cloud, "waiting for nodes: 1 node(s) asked for", sweep)
    cloud.settle()
    assert len(cloud.machines("gpu_worker")) == 1
    kill(sweep)


def test_the_nodes_that_the_plan_needs_are_launched_and_no_more(cloud: Cloud) -> None:
    write_sweep(cloud, cpus=12, name="settled", train=SMALL["train"] | {"compile": False})
    sweep = begin(cloud)
    assert wait_for(lambda: len(cloud.machines("gpu_worker")) >= 3, lambda: sweep.poll() is None, pause=1), (
        cloud.host.run("cat said").stdout
    )
    assert has_said(cloud, "waiting for nodes: 3 node(s) asked for", sweep)
    cloud.settle()
    # Three trials, each on a node of its own, though four nodes were allowed; they don't come, as moto's never do.
    assert len(cloud.machines("gpu_worker")) == 3
    assert len(cloud.machines()) == 1 + 3
    kill(sweep)
