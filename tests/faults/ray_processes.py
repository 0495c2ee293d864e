"""Ray's own processes: found by what they do, in a command's Ray or in a cluster of three nodes."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

SCRIPTS = {
    "dashboard": "dashboard/dashboard.py",
    "dashboard agent": "dashboard/agent.py",
    "runtime env agent": "runtime_env/agent/main.py",
    "log monitor": "_private/log_monitor.py",
}
TITLES = {"ray::DashboardAgent": "dashboard agent", "ray::RuntimeEnvAgent": "runtime env agent"}
"""The names that some give themselves when they are up."""
CLUSTER = """
import sys
from ray.cluster_utils import Cluster

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, "_system_config": {
    "health_check_period_ms": 500, "health_check_failure_threshold": 5, "health_check_timeout_ms": 10000}})
nodes = [cluster.head_node, cluster.add_node(num_cpus=2), cluster.add_node(num_cpus=2)]
print(cluster.address, *(node.all_processes["raylet"][0].process.pid for node in nodes), flush=True)
sys.stdin.read()
cluster.shutdown()
"""


def of_ray(pid: int) -> dict[str, list[psutil.Process]]:
    """The processes of the Ray that a process has started, by what they do; trials' processes are not among them."""
    found: dict[str, list[psutil.Process]] = {}
    for process in descendants(pid):
        with contextlib.suppress(psutil.Error):
            call = process.cmdline()
            role = process.name() if process.name() in ("raylet", "gcs_server") else TITLES.get(" ".join(call).strip())
            # Agents' scripts are among the raylet's own arguments, too.
            role = role or next((r for r, script in SCRIPTS.items() if any(a.endswith(script) for a in call[:4])), None)
            if role is not None:
                found.setdefault(role, []).append(process)
    return found


def descendants(pid: int) -> list[psutil.Process]:
    """All that a process has started, directly or not; none where it has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children(recursive=True)
    return []


@contextmanager
def three_nodes() -> Iterator[tuple[str, psutil.Process, list[psutil.Process]]]:
    """A cluster in another process: its address, its GCS, and its raylets, that of the head first.

    The head gives no CPUs away, the other nodes two each.
    """
    call = [sys.executable, "-c", CLUSTER]
    with subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        begun: list[psutil.Process] = []
        try:
            address, *raylets = process.stdout.readline().split()
            begun = descendants(process.pid)
            yield address, of_ray(process.pid)["gcs_server"][0], [psutil.Process(int(pid)) for pid in raylets]
        finally:
            begun += descendants(process.pid)
            process.stdin.close()
            process.wait()
            # Processes of trials whose raylet was killed are nobody's.
            for left in begun:
                with contextlib.suppress(psutil.NoSuchProcess):
                    left.kill()
