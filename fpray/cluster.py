"""The Ray cluster that a sweep runs on: joined or started, and what it has room for."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

import ray
import torch
from ray._private import ray_constants
from ray._private.authentication.authentication_token_setup import ensure_token_if_auth_enabled
from ray._private.state import state as cluster_state

from fpray.batchsize import fitting_batch_size
from fpray.config import Resources, Sweep
from fpray.errors import UserError

# A path in a sweep file is relative to where the command was started, in the trials too: Ray's processes inherit it.
os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"


def connect(address: str | None) -> None:
    """Join the Ray cluster at `address` (`HOST:PORT` or `auto`), or start Ray on this machine without one.

    Raises:
        UserError: if there is no cluster at the address, or Ray can't start here.
    """
    if ray.is_initialized():
        return
    if address is None:
        _start_ray_here()
        return
    try:
        if address.count(":") == 1:
            # Ray itself tries for minutes before it gives up.
            host, _, port = address.partition(":")
            socket.create_connection((host, int(port)), timeout=10).close()
        ray.init(address=address, log_to_driver=False, logging_level="error")
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"can't reach a Ray cluster at '{address}': {reason}; start it (and set RAY_AUTH_MODE=token if it wants "
            "a token), or leave out --address"
        ) from None


def _start_ray_here() -> None:
    """Start Ray for this command alone: it listens on loopback, and wants a token unless RAY_AUTH_MODE says otherwise.

    Raises:
        UserError: if it can't start.
    """
    clusters = ray_constants.ENABLE_RAY_CLUSTER
    mask = os.umask(0o077)  # Ray writes the token so that everyone may read it
    try:
        if os.environ.setdefault("RAY_AUTH_MODE", "token") == "token":
            ray._raylet.Config.initialize("")  # Ray has read its environment before
            ensure_token_if_auth_enabled()
        os.umask(mask)
        # Off, every process of Ray takes 127.0.0.1 for this machine's address; no argument of `init` can say that.
        ray_constants.ENABLE_RAY_CLUSTER = False
        # Not None: that would join whatever cluster was started on this machine, by anyone.
        ray.init(address="local", log_to_driver=False, logging_level="error")
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"can't start Ray on this machine: {str(error).splitlines()[0]}") from None
    finally:
        os.umask(mask)
        ray_constants.ENABLE_RAY_CLUSTER = clusters


def concurrency(resources: Resources) -> int:
    """How many trials run at a time: what the cluster's nodes have, or it can grow to, over what a trial needs.

    Raises:
        UserError: if the cluster can't hold even one trial, or no node one of its workers.
    """
    growable = cluster_state.get_max_resources_from_cluster_config() or {}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    most = max(sum(_workers_on(node, resources) for node in nodes), _workers_on(growable, resources))
    if most < resources.workers:
        total = {name: max(sum(n.get(name, 0) for n in nodes), growable.get(name, 0)) for name in ("CPU", "GPU")}
        raise UserError(
            f"resources: a trial needs {resources.workers} worker(s) with {resources.cpus:g} CPU(s) and "
            f"{resources.gpus:g} GPU(s) on one node each, and the cluster has {total['CPU']:g} CPU(s) and "
            f"{total['GPU']:g} GPU(s) on {len(nodes)} node(s); ask for fewer, or add some"
        )
    trials = most // resources.workers
    return trials if resources.concurrency == "auto" else min(trials, resources.concurrency)


def _workers_on(node: Mapping[str, float], resources: Resources) -> int:
    """How many workers find room on a node."""
    by_cpus = int(node.get("CPU", 0) / resources.cpus + 1e-9)
    if not resources.gpus:
        return by_cpus
    return min(by_cpus, int(node.get("GPU", 0)) * int(1 / resources.gpus + 1e-9))  # each on one GPU, whole or a part


def batch_size_that_fits(sweep: Sweep) -> int:
    """Try on one of the cluster's GPUs how large a batch may be, see `fitting_batch_size`.

    Raises:
        UserError: if not even one image fits.
    """
    resources = sweep.resources
    task = ray.remote(num_cpus=resources.cpus, num_gpus=resources.gpus, max_calls=1)(fitting_batch_size)
    size: int = ray.get(task.remote(sweep, torch.device("cuda")))
    if size == 0:
        raise UserError(
            "train.batch_size: not even one image fits on a GPU; take a smaller model or larger GPUs, or set "
            "train.gradient_checkpointing to true"
        )
    return size
