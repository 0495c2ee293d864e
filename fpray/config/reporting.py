"""The `report` section: by which rules a configuration of each method is picked, and what counts as a difference."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from fpray.errors import did_you_mean
from fpray.section import Section, several

RULES = {
    "id_val": "the highest ID accuracy",
    "ood_val": "the highest OOD accuracy",
    "knee": "the highest mean of ID and OOD accuracy",
    "oracle": "the highest OOD accuracy on test images",
}
"""What each rule picks, on validation images unless it says otherwise."""
MIN_ID = "min_id="
"""The start of the rule that takes the highest OOD accuracy among those with so much ID accuracy, in per cent."""
KNOWN = (*RULES, f"{MIN_ID}80")


def checked_rule(rule: str) -> str:
    """
    Raises:
        ValueError: if there is no such rule, with the nearest one.
    """
    if rule in RULES:
        return rule
    if not rule.startswith(MIN_ID):
        raise ValueError(f"no rule '{rule}'; {did_you_mean(rule, KNOWN)}")
    try:
        within = 0 <= least_id(rule) <= 100
    except ValueError:
        within = False
    if not within:
        raise ValueError(f"'{rule}' needs an ID accuracy in per cent, as {MIN_ID}80")
    return rule


def least_id(rule: str) -> float:
    """The ID accuracy of a `min_id` rule, in per cent."""
    return float(rule.removeprefix(MIN_ID))


def words_of(rule: str) -> str:
    """What a rule picks."""
    if rule in RULES:
        return RULES[rule]
    return f"the highest OOD accuracy of those with at least {least_id(rule):g} % ID accuracy"


def labels_of(rule: str) -> str:
    """The images whose labels a rule sees: what it picks must be judged on others."""
    return {"id_val": "ID validation", "oracle": "OOD test"}.get(rule, "ID and OOD validation")


_RULE = {"anyOf": [{"enum": [*RULES]}, {"type": "string", "pattern": rf"^{MIN_ID}\d+(\.\d+)?$"}]}
Rules = Annotated[
    tuple[Annotated[str, AfterValidator(checked_rule)], ...], Field(min_length=1), WithJsonSchema(several(_RULE))
]


class Reporting(Section):
    """What the report shows of each method. It changes no trial."""

    rules: Rules = ("id_val", "ood_val", "knee")
    """The rules that pick a configuration of each method, on validation images: `id_val` and `ood_val` by the best
    accuracy, `knee` by the mean of both, `min_id=80` by OOD among those with so much ID; `oracle` by OOD on test
    images."""
    margin: float = Field(1.0, gt=0)
    """The points of accuracy up to which a difference between two methods is none."""
