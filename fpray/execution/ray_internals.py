"""Ray's private parts: all that fpray uses of Ray beyond its documentation, each with its reason. Tune's are in
`tune_internals`: they take a second more to import, for which a Ray that starts is not to wait.

Read in Ray 2.60.0. A newer Ray may move them without a word: `tests/execution/test_ray_internals.py` says so first.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import grpc
import ray
from ray import NodeID, _raylet
from ray._private import ray_constants, services, worker
from ray._private.authentication.authentication_token_setup import ensure_token_if_auth_enabled
from ray._private.grpc_utils import init_grpc_channel
from ray.autoscaler._private.kuberay.autoscaling_config import AutoscalingConfigProducer
from ray.autoscaler.v2.sdk import get_cluster_status
from ray.autoscaler.v2.utils import is_autoscaler_v2
from ray.exceptions import RpcError
from ray.experimental import internal_kv
from ray.experimental.internal_kv import internal_kv_get_gcs_client

from fpray.config import parse

# A path in a sweep file is relative to where the command was started, in the trials too. Said before Ray starts: its
# processes inherit it.
os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"

HEAD = "node:__internal_head__"
"""The resource that the head node alone has, one of it."""
AHEAD, READY = "fpray-ahead", "fpray-ready-"
"""The key of Ray's store that says how many processes are started ahead, and what those begin with that say which of
them are ready."""
IDLE_MS = 30_000
"""Milliseconds after which a process that no trial has taken ends."""
KUBERNETES_NAMESPACE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
"""The file that tells a pod its namespace."""


@contextmanager
def on_loopback() -> Iterator[None]:
    """Let a Ray that starts here take 127.0.0.1 for this machine's address, which no argument of `init` can say."""
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def make_token() -> None:
    """Make the token that `RAY_AUTH_MODE=token` asks for, if there is none, where nobody else can read it."""
    mask = os.umask(0o077)  # Ray writes the token so that everyone may read it
    try:
        cast(Any, _raylet).Config.initialize("")  # Ray has read its environment before
        ensure_token_if_auth_enabled()
    finally:
        os.umask(mask)


def autoscaling_config_here() -> dict[str, Any] | None:
    """The resolved cluster file that the autoscaler of this machine's head reads; None if none runs.

    It is found by the autoscaler's own arguments: the file that an earlier `ray up` left may lie there still. Where
    KubeRay's operator made the cluster the autoscaler has a container of its own, and asks Kubernetes, as we do.
    """
    # The head may be known by several addresses, and has one port.
    port = ray.get_runtime_context().gcs_address.rpartition(":")[2]
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has just ended, or is another user's
            arguments = process.read_bytes().decode(errors="replace").split("\0")
            options = dict(a.split("=", 1) for a in arguments if a.startswith("--") and "=" in a)
            if "--autoscaling-config" in options and options.get("--gcs-address", "").rpartition(":")[2] == port:
                file = Path(options["--autoscaling-config"]).expanduser()
                return cast(dict[str, Any], parse(file.read_text(), str(file)))
    name, namespace = os.environ.get("RAY_CLUSTER_NAME"), Path(KUBERNETES_NAMESPACE)
    if name is not None and namespace.exists():
        return cast(dict[str, Any], cast(Any, AutoscalingConfigProducer)(name, namespace.read_text().strip())())
    return None


def autoscaler_complaints() -> list[str]:
    """Why the autoscaler starts no nodes, in its own words: for each kind of node the newest reason."""
    complaints: dict[str, str] = {}
    client = cast(Any, internal_kv_get_gcs_client)()
    if is_autoscaler_v2(gcs_client=client):
        failed = get_cluster_status(ray.get_runtime_context().gcs_address).failed_launches
        for launch in sorted(failed, key=lambda launch: launch.request_ts_s):
            complaints[launch.ray_node_type_name] = launch.details or "it can't be launched"
    elif status := internal_kv._internal_kv_get(ray_constants.DEBUG_AUTOSCALING_STATUS):
        summary = (json.loads(status).get("autoscaler_report") or {}).get("node_availability_summary") or {}
        for name, availability in (summary.get("node_availabilities") or {}).items():
            if not availability["is_available"] and (why := availability["unavailable_node_information"]):
                complaints[name] = f"{why['category']}: {why['description']}"
    if error := internal_kv._internal_kv_get(ray_constants.DEBUG_AUTOSCALING_ERROR):
        complaints["autoscaler"] = error.decode(errors="replace").strip().splitlines()[-1]
    return [f"{name}: {why}" for name, why in complaints.items()]


@contextmanager
def import_ahead(module: str, processes: int) -> Iterator[None]:
    """Let the Ray that starts here start so many idle processes at once, and each one import a module.

    By itself Ray ends a process that was idle for a second.
    """
    os.environ |= {
        "RAY_preload_python_modules": module,
        "RAY_num_prestart_python_workers": str(processes),
        "RAY_idle_worker_killing_time_threshold_ms": str(IDLE_MS),
    }
    yield
    internal_kv._internal_kv_put(AHEAD, str(processes).encode())


def say_ready() -> None:
    """Let the command know that this process, which Ray has started ahead, is ready."""
    internal_kv._internal_kv_put(f"{READY}{os.getpid()}", b"")


def not_ready_yet() -> int:
    """The number of processes started ahead that have not said so; 0 where none was to be."""
    return int(internal_kv._internal_kv_get(AHEAD) or 0) - len(internal_kv._internal_kv_list(READY))


def servers_started_here() -> Mapping[str, subprocess.Popen[bytes]]:
    """The processes without which a Ray that was started here is lost, by name; none where a cluster was joined."""
    node = cast(Any, worker)._global_node
    return {
        name: info.process
        for name in (ray_constants.PROCESS_TYPE_GCS_SERVER, ray_constants.PROCESS_TYPE_RAYLET)
        for info in node.all_processes.get(name, ())
    }


def raylet_address() -> str:
    """The address of this node's raylet."""
    node = cast(Any, worker)._global_node
    return f"{node.node_ip_address}:{node.node_manager_port}"


def gcs_address(address: str) -> str | None:
    """The address of a GCS, with a host and a port, from what a user names; None if it isn't known."""
    with suppress(Exception):  # what is wrong with it `ray.init` tells
        return services.canonicalize_bootstrap_address(address)
    return None


def answers(address: str, seconds: float) -> bool:
    """Whether a GCS or a raylet answers in time when it is asked, as raylets are by the GCS, whether it is well."""
    # Channels share what they know, and try ever more seldom to reach what was away for a moment.
    channel = init_grpc_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
    try:
        channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=seconds)
    except grpc.RpcError:
        return False
    finally:
        channel.close()
    return True


def gcs_knows_this_node(seconds: float) -> bool | None:
    """Whether the GCS takes this node for alive; None if it doesn't answer in time."""
    known = cast(Any, worker).global_worker
    try:
        (alive,) = known.gcs_client.check_alive([NodeID.from_hex(known.node.node_id)], timeout=seconds)
    except RpcError:
        return None
    return bool(alive)
