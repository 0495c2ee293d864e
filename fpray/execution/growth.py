"""The growth of a cluster: the nodes that its autoscaler may start, and why it starts none.

Open-source Ray tells nobody what a cluster can grow to. It is read where the autoscaler reads it: on the head, from
the resolved cluster file of `ray up`, or from the RayCluster of KubeRay's operator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import ray

from fpray.execution.ray_internals import HEAD, autoscaling_config_here
from fpray.execution.room import Node

ACCELERATOR = "accelerator_type:"
"""What Ray's name of a resource that stands for a kind of GPU begins with."""


@dataclass(frozen=True)
class Growth:
    """How far a cluster grows."""

    types: tuple[tuple[Node, int], ...]
    """Each kind of node besides the head, and the most of it, those that are there included."""
    most: int
    """The most nodes of all kinds together, besides the head."""


def growth_of_cluster() -> Growth | None:
    """How far the cluster grows, asked of its head; None if nothing says so, as where no autoscaler runs."""
    head = _head()
    if head is None:
        return None
    if head == ray.get_runtime_context().get_node_id():
        config = autoscaling_config_here()
    else:
        asked = ray.remote(num_cpus=0, resources={HEAD: 0.001}, max_calls=1)(autoscaling_config_here).remote()
        while not ray.wait([asked], timeout=1)[0]:
            if _head() is None:  # it has died meanwhile: the answer would never come
                return None
        config = ray.get(asked)
    return None if config is None else growth_in(config)


def _head() -> str | None:
    """The id of the head's node; None where that has died, and the GCS goes on."""
    nodes = cast(Any, ray).nodes()
    return next((node["NodeID"] for node in nodes if node["Alive"] and HEAD in node["Resources"]), None)


def growth_in(config: Mapping[str, Any]) -> Growth:
    """How far a cluster grows by the resolved file that its autoscaler reads."""
    most = int(config.get("max_workers", 0))
    kinds = {name: kind for name, kind in config["available_node_types"].items() if name != config["head_node_type"]}
    types = [
        (node_of(name, kind.get("resources") or {}), int(kind.get("max_workers", most))) for name, kind in kinds.items()
    ]
    return Growth(tuple(types), most)


def node_of(name: str, resources: Mapping[str, float]) -> Node:
    """The node with these resources, by Ray's names for them."""
    accelerators = frozenset(key.removeprefix(ACCELERATOR) for key in resources if key.startswith(ACCELERATOR))
    return Node(name, float(resources.get("CPU", 0)), int(resources.get("GPU", 0)), accelerators)
