"""The room on a cluster: which trials its nodes hold at a time, node by node, and those nodes that it can grow by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from fpray.config import Needs
from fpray.errors import UserError, did_you_mean

EPSILON = 1e-9
"""Of fractions that are added up."""


@dataclass(frozen=True)
class Node:
    """A node of a cluster, or one of a kind that it can grow by."""

    name: str
    cpus: float
    gpus: int
    accelerators: frozenset[str] = frozenset()
    """The kinds of its GPUs, by Ray's names."""

    def like(self, other: Node) -> bool:
        """Whether another node has the same, whatever its name."""
        return (self.cpus, self.gpus, self.accelerators) == (other.cpus, other.gpus, other.accelerators)

    def holds(self, needs: Needs) -> bool:
        """Whether it holds one worker of a trial with these needs."""
        return _Free.whole(self).take(needs)

    def __str__(self) -> str:
        kinds = f" of type {', '.join(sorted(self.accelerators))}" if self.accelerators else ""
        return f"{self.cpus:g} CPU(s) and {self.gpus} GPU(s){kinds}"


@dataclass(frozen=True)
class NodeType:
    """A kind of node that a cluster can grow by, and how many of it there may be more than there are."""

    node: Node
    more: int


@dataclass
class _Free:
    """What is left of a node."""

    node: Node
    cpus: float
    gpus: list[float]

    @classmethod
    def whole(cls, node: Node) -> _Free:
        return cls(node, node.cpus, [1.0] * node.gpus)

    def take(self, needs: Needs) -> bool:
        """Give a worker its share, if there is room. A worker is on one GPU, whole or a part, as Ray has it."""
        if self.cpus < needs.cpus - EPSILON:
            return False
        if needs.accelerator is not None and needs.accelerator not in self.node.accelerators:
            return False
        if needs.gpus:
            # The fullest that still has room: a whole GPU stays one for those who need it.
            fitting = [g for g, free in enumerate(self.gpus) if free >= needs.gpus - EPSILON]
            if not fitting:
                return False
            self.gpus[min(fitting, key=lambda gpu: self.gpus[gpu])] -= needs.gpus
        self.cpus -= needs.cpus
        return True


@dataclass(frozen=True)
class Room:
    """The nodes that a cluster has, and can grow by."""

    nodes: tuple[Node, ...] = ()
    """Those that are there."""
    types: tuple[NodeType, ...] = ()
    """The kinds that it can grow by."""
    more_nodes: int = 0
    """By how many nodes of all kinds together it can grow."""
    most: int | None = None
    """The most trials at a time, as the sweep file says; None for as many as there is room for."""
    may_grow: bool = False
    """Whether it may grow, nobody knows by what: there is room for `most` trials then, however few fit now."""

    def holds(self, trials: Sequence[Needs]) -> bool:
        """Whether trials with these needs run at the same time, on the nodes that are there or may come."""
        if self.most is not None and len(trials) > self.most:
            return False
        return self.may_grow or self._place(trials)[0] == len(trials)

    def missing(self, trials: Sequence[Needs]) -> int:
        """The number of nodes that must come before all these trials, for which there is room, run.

        Where it isn't known what comes: the number of trials that wait.
        """
        placed, coming = self._place(trials)
        return len(trials) - placed if self.may_grow else coming

    def at_once(self, needs: Needs, limit: int) -> int:
        """How many trials with these needs run at a time, `limit` at most."""
        return next((count for count in range(limit) if not self.holds([needs] * (count + 1))), limit)

    def require(self, needs: Needs, key: str) -> None:
        """See that there is room for one trial with these needs.

        Args:
            key: the sweep file's, for the message.

        Raises:
            UserError: if there isn't, with the nearest request for which there is.
        """
        if self.may_grow or self.holds([needs]):
            return
        coming = [kind.node for kind in self.types if kind.more and self.more_nodes]
        all_nodes = [*self.nodes, *coming]
        known = sorted({kind for node in all_nodes for kind in node.accelerators})
        if needs.accelerator is not None and needs.accelerator not in known:
            hint = did_you_mean(needs.accelerator, known) if known else "none of its nodes says what GPUs it has"
            raise UserError(f"{key}.accelerator: the cluster has no '{needs.accelerator}'; {hint}")
        useful = [node for node in all_nodes if node.cpus > 0]
        if not useful:
            raise UserError(f"{key}: a trial needs {needs}, and no node of the cluster has CPUs to give; add some")
        node = min(useful, key=lambda node: _lack(node, needs))
        near = {"cpus": min(needs.cpus, node.cpus), "gpus": needs.gpus if node.gpus else 0.0}
        near["workers"] = self._workers(needs.model_copy(update=near))
        request = ", ".join(f"{name}: {value:g}" for name, value in near.items() if value != getattr(needs, name))
        raise UserError(
            f"{key}: a trial needs {needs} on one node each, and the nearest node, {node.name}, has {node}; ask for "
            f"{{{request}}}, or add nodes"
        )

    def _workers(self, needs: Needs) -> int:
        """The most workers of one trial, each with these needs, that there is room for, if there is for one."""
        return max(n for n in range(1, needs.workers + 1) if self.holds([needs.model_copy(update={"workers": n})]))

    def _place(self, trials: Sequence[Needs]) -> tuple[int, int]:
        """Place trials, those first that are hardest to place, each worker on the first node with room.

        Returns:
            The number of trials with a place for each of their workers, and of the nodes that must come for it.
        """
        there, coming = [_Free.whole(node) for node in self.nodes], _Coming(self)
        placed = 0
        for needs in sorted(trials, key=_hardest_first):
            # A worker without a GPU leaves the nodes that have some to others, as Ray does.
            candidates = there if needs.gpus else sorted(there, key=lambda free: bool(free.gpus))
            placed += all(
                any(free.take(needs) for free in candidates) or coming.take(needs) for _ in range(needs.workers)
            )
        return placed, len(coming.nodes)


@dataclass
class _Coming:
    """Nodes that come one after another as workers need them."""

    room: Room
    nodes: list[tuple[NodeType, _Free]] = field(default_factory=list)

    def take(self, needs: Needs) -> bool:
        """Give a worker a place on a node that comes anyhow, or on one more, the smallest that holds it."""
        if any(free.take(needs) for _, free in self.nodes):
            return True
        if len(self.nodes) == self.room.more_nodes:
            return False
        for kind in sorted(self.room.types, key=lambda kind: (kind.node.gpus, kind.node.cpus)):
            free = _Free.whole(kind.node)
            if sum(come is kind for come, _ in self.nodes) < kind.more and free.take(needs):
                self.nodes.append((kind, free))
                return True
        return False


def _hardest_first(needs: Needs) -> tuple[bool, float, float]:
    return needs.accelerator is None, -needs.gpus * needs.workers, -needs.cpus * needs.workers


def _lack(node: Node, needs: Needs) -> tuple[bool, bool, float]:
    """How much a node lacks of what a worker needs, what is hardest to do without first."""
    wrong_kind = needs.accelerator is not None and needs.accelerator not in node.accelerators
    return needs.gpus > node.gpus, wrong_kind, max(0.0, needs.cpus - node.cpus)
