"""Picks: what each rule takes, and that nothing else decides."""

from __future__ import annotations

import pytest

from fpray.report.pareto import Accuracy, Configuration
from fpray.report.picks import pick, rules_line


def configuration(name: str, id_val: float, ood_val: float, test: tuple[float, float] = (0, 0)) -> Configuration:
    return Configuration(
        name=name,
        method="full",
        params={},
        val=Accuracy(id=id_val, ood=ood_val),
        test=Accuracy(id=test[0], ood=test[1]),
        test_of_seeds=(),
        trials=(),
    )


CURVE = [
    configuration("a", 80, 50, test=(80, 49)),
    configuration("b", 78, 60, test=(77, 60)),
    configuration("c", 70, 62, test=(71, 63)),
    configuration("d", 69, 61, test=(99, 99)),
]


@pytest.mark.parametrize(
    ("rule", "name"),
    [("id_val", "a"), ("ood_val", "c"), ("knee", "b"), ("min_id=75", "b"), ("min_id=79.5", "a"), ("oracle", "d")],
)
def test_rules(rule: str, name: str) -> None:
    picked = pick(CURVE, rule)
    assert picked is not None and picked.name == name


def test_where_none_will_do_none_is_picked() -> None:
    assert pick(CURVE, "min_id=80.1") is None
    assert all(pick([], rule) is None for rule in ("id_val", "ood_val", "knee", "oracle", "min_id=1"))


def test_ties_go_to_the_better_other_accuracy() -> None:
    curve = [configuration("a", 80, 50), configuration("b", 80, 55), configuration("c", 70, 55)]
    assert [pick(curve, rule) for rule in ("id_val", "ood_val")] == [curve[1]] * 2
    line = [configuration("a", 63.2, 76.1), configuration("b", 60.0, 79.3)]  # as floats, their sums differ
    assert pick(line, "knee") == line[1]


def test_the_knee_stays_where_it_is_when_worse_configurations_are_drawn() -> None:
    more = [configuration("far", 20, 64), configuration("further", 81, 10), configuration("worse", 77, 59)]
    assert pick([*CURVE, *more], "knee") == pick(CURVE, "knee")


def test_only_the_oracle_looks_at_test() -> None:
    worse = configuration("worse", 70, 60, test=(99, 99))
    better = configuration("better", 71, 61, test=(1, 1))
    assert {pick([worse, better], rule) == better for rule in ("id_val", "ood_val", "knee", "min_id=50")} == {True}
    assert pick([worse, better], "oracle") == worse


def test_a_line_says_which_labels_each_rule_sees() -> None:
    assert rules_line(["id_val", "min_id=75", "oracle"], []) == (
        "picked by id_val: the highest ID accuracy (sees ID validation labels); min_id=75: the highest OOD accuracy of "
        "those with at least 75 % ID accuracy (sees ID and OOD validation labels); oracle: the highest OOD accuracy on "
        "test images (sees OOD test labels)"
    )
    for objectives, seen in ((["id/val/top1"], "ID"), (["id/val/top1", "ood/val/top1"], "ID and OOD")):
        assert rules_line(["id_val"], objectives).endswith(f"; the search saw {seen} validation labels")
