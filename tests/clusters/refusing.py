"""A cloud that starts no node and says why, for Ray's autoscaler (a node provider of type `external`)."""

from __future__ import annotations

from typing import Any

from ray.autoscaler._private.fake_multi_node.node_provider import FakeMultiNodeProvider
from ray.autoscaler.node_launch_exception import NodeLaunchException

WHY = "we have no g5.4xlarge left in this zone"


class Refusing(FakeMultiNodeProvider):
    """Without capacity."""

    def create_node_with_resources_and_labels(self, *_: Any, **__: Any) -> None:
        raise NodeLaunchException("InsufficientInstanceCapacity", WHY, None)
