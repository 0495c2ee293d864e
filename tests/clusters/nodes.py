"""The nodes of a cluster, counted without joining it: Ray starts processes on every node for one that does."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.hosts import Host

ASK = """
from ray._raylet import GcsClient
from ray.core.generated.gcs_pb2 import GcsNodeInfo
states = [node.state for node in GcsClient("{address}").get_all_node_info().values()]
print("nodes:", states.count(GcsNodeInfo.ALIVE), "of", len(states))
"""


@dataclass(frozen=True)
class Nodes:
    """How many nodes there are, and how many there have ever been, the head among them."""

    alive: int
    ever: int


def nodes(host: Host, address: str, before: str = "") -> Nodes:
    """The nodes of the cluster at an address, as a host is told by it; none while it doesn't answer.

    Args:
        before: commands for bash, which end with `&&` or an assignment.
    """
    said = host.run(f"{before} python -c '{ASK.format(address=address)}'", check=False).stdout
    told = re.search(r"nodes: (\d+) of (\d+)", said)
    return Nodes(int(told[1]), int(told[2])) if told else Nodes(0, 0)
