"""The Ray cluster that a sweep runs on: joined or started, and what it has room for."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, cast

import ray

from fpray.config import Needs, Sweep
from fpray.execution.growth import Growth, growth_of_cluster, node_of
from fpray.execution.nodes import NodeChecks
from fpray.execution.ray_internals import autoscaler_complaints
from fpray.execution.room import Node, NodeType, Room

LOOK_EVERY = 5.0
"""Seconds between two looks at the cluster's nodes."""
GROWTH_EVERY = 60.0
"""Seconds after which it is asked anew how far the cluster grows: `ray up` with another file may have changed it."""
EXPLAINED_AFTER = 180.0
"""Seconds of waiting for nodes after which the autoscaler is asked why none has come."""


class Cluster:
    """The cluster that a sweep runs on, looked at every few seconds while it is entered."""

    def __init__(self, sweep: Sweep, *, own: bool, checks: NodeChecks | None = None) -> None:
        """
        Args:
            own: whether fpray started this Ray for itself, which has one node and doesn't grow.
            checks: of the nodes that trials may run on.

        Raises:
            UserError: if it has no room for some method's trials, with the nearest request for which it has.
        """
        self._sweep, self._own, self._checks = sweep, own, checks
        self._needs = {method: sweep.resources_of(method) for method in sweep.methods}
        self._growth: Growth | None = None
        self._growth_until = -math.inf
        self._room = self._look()
        for method, needs in self._needs.items():
            self._room.require(needs, f"methods.{method}.resources" if sweep.methods[method].resources else "resources")
        self._waits_since: float | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_looking, name="cluster", daemon=True)

    def room(self) -> Room:
        """The room that there is, as it was a few seconds ago at most."""
        return self._room

    def require_nodes(self) -> None:
        """See that no node has turned out to lack what trials need.

        Raises:
            UserError: if one has, with its name.
        """
        if self._checks is not None:
            self._checks.require(wait=False)

    def __enter__(self) -> Cluster:
        if not self._own:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if not self._own:
            self._thread.join()

    def waiting(self, trials: Sequence[Needs]) -> str | None:
        """What these trials, which have begun, wait for: nodes that are still to come; None if for nothing.

        When nothing has come for some minutes it says why, in the autoscaler's words.
        """
        missing = self._room.missing(trials)
        if not missing:
            self._waits_since = None
            return None
        now = time.monotonic()
        self._waits_since = self._waits_since or now
        what = "trials wait for nodes" if self._room.may_grow else "node(s) asked for"
        line = f"waiting for nodes: {missing} {what}"
        if now - self._waits_since < EXPLAINED_AFTER:
            return line
        complaints: list[str] = []
        with suppress(Exception):  # the head is away for a moment
            complaints = autoscaler_complaints()
        why = "; ".join(complaints) or "the autoscaler doesn't say why; see `ray status` on the head"
        return f"{line}, and none has come for {EXPLAINED_AFTER / 60:g} minutes: {why}"

    def _keep_looking(self) -> None:
        while not self._over.wait(LOOK_EVERY):
            with suppress(Exception):  # the head is away for a moment; if for long, the command ends
                self._room = self._look()

    def _look(self) -> Room:
        alive = [node for node in cast(Any, ray).nodes() if node["Alive"]]
        nodes = {node["NodeID"]: node_of(node["NodeManagerHostname"], node["Resources"]) for node in alive}
        if self._checks is not None:
            useful = {i: node for i, node in nodes.items() if any(map(node.holds, self._needs.values()))}
            self._checks.look_at({i: node.name for i, node in useful.items()})
        if not self._own and time.monotonic() > self._growth_until:
            self._growth, self._growth_until = growth_of_cluster(), time.monotonic() + GROWTH_EVERY
        most = self._sweep.resources.concurrency
        return room_with(
            tuple(nodes.values()), self._growth, most=None if most == "auto" else most, may_grow=not self._own
        )


def room_with(nodes: Sequence[Node], growth: Growth | None, *, most: int | None, may_grow: bool) -> Room:
    """The room on nodes that are there and, if it is known, those that come.

    Args:
        most: trials at a time, as the sweep file says.
        may_grow: whether there may be more nodes where nothing is known of it; then `most` says how many trials.
    """
    if growth is None:
        return Room(tuple(nodes), most=most, may_grow=may_grow and most is not None)
    # The head is no node of theirs.
    there = [sum(node.like(kind) for node in nodes) for kind, _ in growth.types]
    types = tuple(
        NodeType(kind, max(0, most_of - count)) for (kind, most_of), count in zip(growth.types, there, strict=True)
    )
    return Room(tuple(nodes), types, max(0, growth.most - sum(there)), most)
