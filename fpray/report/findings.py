"""The findings of the paper (arXiv 2405.16027, as a summary of it has them), and fpray's own, held against a sweep.

Each is a list of claims that a difference of accuracies is above 0. What is compared, and how, stands here before any
data is seen: configurations are chosen by validation accuracies alone, in each draw of the data by itself; differences
are of test accuracies. A claim has an estimate (over the draws, or over the seeds and images of one), its p-value is
corrected for all claims by Holm's method, and a difference of at most `margin` points counts as none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fpray.report.outcomes import Drawn, estimated
from fpray.report.pareto import Configuration
from fpray.report.views import MethodView, view
from fpray.statistics import Accuracies, Estimate, Verdict, holm, verdict

ABOVE_ZERO_SHOT = (5.0, 10.0, 15.0)
"""The ID accuracies at which methods are compared, in points above zero-shot's."""
BASES = ("full", "zero_shot")
"""The methods that the others are held against."""
IN_EFFECT = 1.0
"""The kappa from which on a penalty holds weights back."""
TRAINED = ("full", "l1", "l2", "kd", "lora")
UNKNOWN = Estimate(math.nan, math.inf)
"""Of a difference that too few draws allow to tell."""
Views = Mapping[str, MethodView]


@dataclass(frozen=True)
class Claim:
    """A claim that a difference is above 0."""

    finding: str
    text: str
    methods: tuple[str, ...]
    """Those that it is about."""
    difference: Callable[[Views], float]
    """In points of accuracy; not a number where the accuracies don't allow to tell."""


@dataclass(frozen=True)
class Judged:
    """A claim with what is known of it."""

    claim: Claim
    estimate: Estimate
    p: float
    """Corrected for all claims."""
    verdict: Verdict


@dataclass(frozen=True)
class Finding:
    """A finding with its claims. It is seen if all of them are, and not seen if one of them is not."""

    text: str
    claims: tuple[Judged, ...]

    @property
    def verdict(self) -> Verdict:
        verdicts = {claim.verdict for claim in self.claims}
        decisive: tuple[Verdict, ...] = ("not seen", "undecided", "equivalent")
        return next((v for v in decisive if v in verdicts), "seen")


def at_equal_id(method: str, other: str) -> Callable[[Views], float]:
    """OOD accuracy over another method's at equal ID accuracy: the mean over `ABOVE_ZERO_SHOT`, where both have one."""

    def difference(views: Views) -> float:
        return mean_of_known(ood_above_zero_shot(views, method) - ood_above_zero_shot(views, other))

    return difference


def ood_above_zero_shot(views: Views, method: str) -> NDArray[np.float64]:
    """A method's OOD accuracy at each of `ABOVE_ZERO_SHOT`; not a number where it has none."""
    zero_shot = float(views["zero_shot"].id_test[0])
    return np.array([views[method].ood_at(zero_shot + more) for more in ABOVE_ZERO_SHOT])


def mean_of_known(values: NDArray[np.float64]) -> float:
    """The mean of those that are numbers; not a number where none is."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else math.nan


def at_equal_lr(method: str, part: str) -> Callable[[Views], float]:
    """A method's accuracy over full fine-tuning's at its learning rate: the mean over its configurations in effect.

    Full fine-tuning's is taken from the line between its configurations, by the logarithm of the learning rate.
    """

    def difference(views: Views) -> float:
        own, full = views[method], views["full"]
        rates = np.log([float(params["lr"]) for params in full.params])
        order = np.argsort(rates)
        rates, there = rates[order], getattr(full, part)[order]
        differences = [
            float(value) - float(np.interp(math.log(float(params["lr"])), rates, there))
            for params, value in zip(own.params, getattr(own, part), strict=True)
            if float(params.get("kappa", IN_EFFECT)) >= IN_EFFECT
        ]
        return float(np.mean(differences)) if differences else math.nan

    return difference


def turned(difference: Callable[[Views], float]) -> Callable[[Views], float]:
    """The difference the other way round."""
    return lambda views: -difference(views)


def highest_ood(method: str) -> Callable[[Views], float]:
    """The OOD accuracy of a method over the best other's.

    Each is that of the highest OOD validation accuracy among the configurations with an ID validation accuracy of at
    least the first of `ABOVE_ZERO_SHOT` above zero-shot's; validation also says which other is the best.
    """

    def difference(views: Views) -> float:
        least = float(views["zero_shot"].id_val[0]) + ABOVE_ZERO_SHOT[0]
        picked = {name: views[name].best_ood(least) for name in (*TRAINED, method) if name in views}
        rows = {name: row for name, row in picked.items() if row is not None}
        others = [name for name in rows if name != method]
        if method not in rows or not others:
            return math.nan
        rival = max(others, key=lambda name: float(views[name].ood_val[rows[name]]))
        return float(views[method].ood_test[rows[method]] - views[rival].ood_test[rows[rival]])

    return difference


def at_best_id(method: str, other: str, part: str) -> Callable[[Views], float]:
    """A method's accuracy over another's, each at its best ID validation accuracy."""

    def difference(views: Views) -> float:
        own, theirs = views[method], views[other]
        return float(getattr(own, part)[own.best_id()] - getattr(theirs, part)[theirs.best_id()])

    return difference


def claims() -> Iterator[Claim]:
    """Every claim, finding by finding."""
    finding = "full fine-tuning has higher ID and lower OOD accuracy than the protected (fpray's own)"
    for method in ("l1", "l2", "kd"):
        two = (method, "full")
        yield Claim(finding, f"ID: full - {method}, equal lr", two, turned(at_equal_lr(method, "id_test")))
        yield Claim(finding, f"OOD: {method} - full, equal lr", two, at_equal_lr(method, "ood_test"))
    finding = "L1, L2 and WiSE-FT raise OOD accuracy over full fine-tuning"
    for method in ("l1", "l2", "wise_ft"):
        yield Claim(finding, f"OOD: {method} - full, equal ID", (method, "full"), at_equal_id(method, "full"))
    finding = "WiSE-FT has the highest OOD accuracy"
    text = "OOD: wise_ft - best other, at least zero-shot's ID + 5"
    yield Claim(finding, text, ("wise_ft",), highest_ood("wise_ft"))
    finding = "KD has higher ID accuracy than WiSE-FT, and OOD accuracy above full fine-tuning's"
    yield Claim(finding, "ID: kd - wise_ft, best ID", ("kd", "wise_ft"), at_best_id("kd", "wise_ft", "id_test"))
    yield Claim(finding, "OOD: kd - full, best ID", ("kd", "full"), at_best_id("kd", "full", "ood_test"))
    finding = "LoRA's ID accuracy is below full fine-tuning's"
    yield Claim(finding, "ID: full - lora, best ID", ("full", "lora"), at_best_id("full", "lora", "id_test"))


def judged(configurations: Mapping[str, Configuration], outcomes: Mapping[int, Drawn], margin: float) -> list[Finding]:
    """The findings, with what a sweep says of them; claims about methods that it hasn't are left out.

    Args:
        configurations: all of the sweep's, by name.
        outcomes: by draw.
    """
    there = {configuration.method for configuration in configurations.values()}
    if "zero_shot" not in there:
        return []
    every = [claim for claim in claims() if there.issuperset(claim.methods)]
    estimates = _estimates(configurations, outcomes, every)
    adjusted = holm([estimate.p for estimate in estimates])
    all_judged = [
        Judged(claim, estimate, p, verdict(estimate, p, margin))
        for claim, estimate, p in zip(every, estimates, adjusted, strict=True)
    ]
    texts = dict.fromkeys(claim.finding for claim in every)
    return [Finding(text, tuple(j for j in all_judged if j.claim.finding == text)) for text in texts]


def _estimates(
    configurations: Mapping[str, Configuration], outcomes: Mapping[int, Drawn], every: list[Claim]
) -> list[Estimate]:
    def differences(names: tuple[str, ...], accuracies: Accuracies) -> dict[str, float]:
        views = view(configurations, names, accuracies)
        return {claim.text: claim.difference(views) for claim in every}

    known = estimated(outcomes, differences)
    return [known.get(claim.text, UNKNOWN) for claim in every]
