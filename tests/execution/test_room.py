"""Room: what a table of nodes holds, against counts made by hand; what it doesn't is refused with what it would."""

from __future__ import annotations

import pytest

from fpray.config import Needs
from fpray.errors import UserError
from fpray.execution.cluster import room_with
from fpray.execution.growth import Growth, growth_in
from fpray.execution.room import Node, NodeType, Room

G5 = Node("g5.xlarge", 4, 1, frozenset({"A10G"}))
P3 = Node("p3.8xlarge", 32, 4, frozenset({"V100"}))
CPU = Node("m6i.xlarge", 4, 0)
HEAD = Node("head", 0, 0)
LARGE = {"cpus": 8, "gpus": 1}


@pytest.mark.parametrize(
    ("nodes", "needs", "at_once"),
    [
        # The totals of four nodes, 16 CPUs and 4 GPUs, would hold two of these, and no node holds one.
        ([G5] * 4, LARGE, 0),
        ([G5] * 4, {"cpus": 4, "gpus": 1}, 4),
        ([G5] * 4, {"cpus": 3, "gpus": 1}, 4),
        ([P3], LARGE, 4),
        ([P3], {"cpus": 9, "gpus": 1}, 3),
        ([P3, G5, HEAD], {"cpus": 4, "gpus": 1}, 5),
        ([CPU, HEAD], {"cpus": 1}, 4),
        ([CPU, CPU], {"cpus": 3}, 2),
        # Fractions of a GPU: 0.3 three times, 0.4 twice, never across two GPUs.
        ([P3], {"cpus": 1, "gpus": 0.125}, 32),
        ([G5], {"cpus": 1, "gpus": 0.3}, 3),
        ([P3], {"cpus": 1, "gpus": 0.4}, 8),
        ([P3, G5], {"cpus": 1, "gpus": 1, "accelerator": "A10G"}, 1),
        ([P3, G5], {"cpus": 1, "gpus": 0.5, "accelerator": "V100"}, 8),
        # Workers of a trial spread over nodes.
        ([Node("a", 3, 0), Node("b", 3, 0)], {"cpus": 1, "workers": 2}, 3),
        ([Node("a", 3, 0), Node("b", 3, 0)], {"cpus": 2, "workers": 2}, 1),
        ([G5, G5, G5], {"cpus": 4, "gpus": 1, "workers": 2}, 1),
        ([P3], {"cpus": 8, "gpus": 1, "workers": 4}, 1),
    ],
)
def test_trials_at_a_time_are_what_fits_node_by_node(nodes: list[Node], needs: dict[str, object], at_once: int) -> None:
    assert Room(tuple(nodes)).at_once(Needs.model_validate(needs), 100) == at_once


def test_trials_with_other_needs_share_the_nodes() -> None:
    room = Room((P3, G5))
    whole, part = Needs(cpus=4, gpus=1), Needs(cpus=1, gpus=0.25)
    group = Needs(cpus=4, gpus=1, workers=4)
    assert room.holds([whole] * 4 + [part] * 4)
    assert not room.holds([whole] * 5 + [part])  # the last GPU is taken whole
    assert not room.holds([part] * 5 + [whole] * 4)
    # The hardest to place is placed first, whatever the order.
    assert room.holds([part] * 4 + [group]) and room.holds([group] + [part] * 4)
    assert not room.holds([group, whole, part])
    # A trial that asks for a kind of GPU finds it, though others came before it.
    assert room.holds([whole] * 4 + [Needs(cpus=1, gpus=1, accelerator="A10G")])


def test_trials_without_gpus_leave_the_gpus_cpus_to_others() -> None:
    assert Room((G5, CPU)).holds([Needs(cpus=4), Needs(cpus=4, gpus=1)])


def test_a_cluster_from_zero_has_room_for_what_it_can_grow_to() -> None:
    room = room_with([HEAD], Growth(((G5, 4),), 4), most=None, may_grow=True)
    small = Needs(cpus=4, gpus=1)
    assert room.at_once(small, 100) == 4
    assert room.at_once(Needs.model_validate(LARGE), 100) == 0
    assert [room.missing([small] * count) for count in range(5)] == [0, 1, 2, 3, 4]
    quarter = Needs(cpus=1, gpus=0.25)
    assert room.at_once(quarter, 100) == 16
    assert room.missing([quarter] * 5) == 2  # no more nodes than these trials fill


def test_nodes_that_are_there_count_once() -> None:
    growth = Growth(((G5, 4), (P3, 2)), 5)
    there = room_with([HEAD, G5, G5], growth, most=None, may_grow=True)
    needs = Needs(cpus=4, gpus=1)
    # Three more may come in all, and the smallest that holds a worker come first: two of one kind, one of the other.
    assert there.at_once(needs, 100) == 2 + 2 + 4
    assert there.missing([needs] * 2) == 0
    assert there.missing([needs] * 4) == 2
    full = room_with([HEAD, *[G5] * 4, P3], growth, most=None, may_grow=True)
    assert full.more_nodes == 0 and full.at_once(needs, 100) == 8


def test_the_sweep_file_bounds_trials_and_says_how_many_where_nothing_else_does() -> None:
    assert room_with([P3], None, most=3, may_grow=False).at_once(Needs(gpus=1), 100) == 3
    assert room_with([P3], None, most=9, may_grow=False).at_once(Needs(gpus=1), 100) == 4
    assert room_with([P3], Growth((), 0), most=9, may_grow=True).at_once(Needs(gpus=1), 100) == 4
    unknown = room_with([HEAD], None, most=9, may_grow=True)
    assert unknown.at_once(Needs(gpus=1), 100) == 9
    assert unknown.missing([Needs(gpus=1)] * 2) == 2
    assert room_with([HEAD], None, most=None, may_grow=True).at_once(Needs(gpus=1), 100) == 0


@pytest.mark.parametrize(
    ("nodes", "needs", "said"),
    [
        (
            [HEAD, G5],
            LARGE,
            "the nearest node, g5.xlarge, has 4 CPU(s) and 1 GPU(s) of type A10G; ask for {cpus: 4}, or",
        ),
        (
            [CPU],
            LARGE,
            "m6i.xlarge, has 4 CPU(s) and 0 GPU(s); ask for {cpus: 4, gpus: 0}, or add nodes",
        ),
        ([CPU, P3], {"cpus": 64, "gpus": 1}, "the nearest node, p3.8xlarge, has 32 CPU(s) and 4 GPU(s) of type V100"),
        ([HEAD], {"cpus": 1}, "no node of the cluster has CPUs to give; add some"),
        (
            [G5, G5],
            {"cpus": 4, "gpus": 1, "workers": 3},
            "of type A10G; ask for {workers: 2}, or add nodes",
        ),
        ([G5], {"gpus": 1, "accelerator": "A10"}, "the cluster has no 'A10'; did you mean 'A10G'?"),
        ([CPU], {"gpus": 1, "accelerator": "H100"}, "has no 'H100'; none of its nodes says what GPUs it has"),
        (
            [P3, G5],
            LARGE | {"accelerator": "A10G"},
            "the nearest node, g5.xlarge, has 4 CPU(s) .* ask for {cpus: 4}, or",
        ),
    ],
)
def test_what_no_node_holds_is_refused_with_the_nearest_that_fits(
    nodes: list[Node], needs: dict[str, object], said: str
) -> None:
    with pytest.raises(UserError) as there:
        Room(tuple(nodes)).require(Needs.model_validate(needs), "resources")
    with pytest.raises(UserError) as coming:
        Room((HEAD,), tuple(NodeType(node, 1) for node in nodes), len(nodes)).require(
            Needs.model_validate(needs), "resources"
        )
    parts = said.split(" .* ")
    assert all(part in str(there.value) for part in parts), there.value
    assert str(there.value) == str(coming.value)
    assert str(there.value).startswith("resources")


def test_the_growth_is_the_worker_types_of_the_resolved_file() -> None:
    config = {
        "max_workers": 5,
        "head_node_type": "head",
        "available_node_types": {
            "head": {"resources": {"CPU": 0}, "max_workers": 0},
            "gpu": {"resources": {"CPU": 4, "GPU": 1, "memory": 1, "accelerator_type:A10G": 1}, "max_workers": 3},
            "any": {"resources": {}},
        },
    }
    gpu = Node("gpu", 4, 1, frozenset({"A10G"}))
    assert growth_in(config) == Growth(((gpu, 3), (Node("any", 0, 0), 5)), 5)
