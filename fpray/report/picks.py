"""Picks: the configuration of a method that a rule takes, see `fpray/config/reporting.py` for the rules."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol, TypeVar

from fpray.config import MIN_ID, labels_of, least_id, words_of
from fpray.report.pareto import Accuracy


class Judged(Protocol):
    """Something that validation and maybe test images judge."""

    @property
    def val(self) -> Accuracy: ...

    @property
    def test(self) -> Accuracy | None: ...


J = TypeVar("J", bound=Judged)


def pick(configurations: Sequence[J], rule: str) -> J | None:
    """The configuration that a rule picks, None if none will do.

    Of several as good it is the one that is better in the other accuracy. What a rule says of a configuration doesn't
    depend on which others there are: more configurations change a pick only if one of them is better.
    """
    if rule == "id_val":
        return max(configurations, key=lambda c: (c.val.id, c.val.ood), default=None)
    if rule == "ood_val":
        return max(configurations, key=lambda c: (c.val.ood, c.val.id), default=None)
    if rule == "knee":
        return max(configurations, key=lambda c: (round(c.val.id + c.val.ood, 9), c.val.ood), default=None)
    if rule == "oracle":
        tested = [c for c in configurations if c.test is not None]
        return max(tested, key=lambda c: (c.test.ood, c.test.id) if c.test else (0.0, 0.0), default=None)
    return pick([c for c in configurations if c.val.id >= least_id(rule)], "ood_val")


def deciding_rule(rules: Iterable[str]) -> str:
    """The rule by which methods are told apart in words: a sweep file's first `min_id`, or else the knee."""
    return next((rule for rule in rules if rule.startswith(MIN_ID)), "knee")


def rules_line(rules: Iterable[str], objectives: Collection[str]) -> str:
    """What each rule picks, and which labels it has seen; and what the search had seen before it.

    Args:
        objectives: the search's, none if they aren't known.
    """
    each = [f"{rule}: {words_of(rule)} (sees {labels_of(rule)} labels)" for rule in rules]
    seen = "ID validation" if len(objectives) == 1 else "ID and OOD validation"
    return f"picked by {'; '.join([*each, *([f'the search saw {seen} labels'] if objectives else [])])}"
