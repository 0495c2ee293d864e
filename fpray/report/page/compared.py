"""The methods compared: each pick against full fine-tuning's and zero-shot's, and all at equal ID accuracy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from pydantic import BaseModel, ConfigDict

from fpray.report.findings import ABOVE_ZERO_SHOT
from fpray.report.leftout import left_out
from fpray.report.outcomes import Outcomes, estimated, ood_mean
from fpray.report.pareto import Configuration
from fpray.report.report import Report
from fpray.report.views import view
from fpray.statistics import Accuracies, Estimate, holm, verdict

BASES = ("full", "zero_shot")
"""The methods that every pick is held against."""


class Difference(BaseModel):
    """A difference of accuracies in points; its p-value is corrected for all differences of the table."""

    model_config = ConfigDict(frozen=True)

    value: float
    half: float
    p: float
    verdict: str


class Comparison(BaseModel):
    """A method's pick, and how it differs from what the same rule picks of other methods."""

    model_config = ConfigDict(frozen=True)

    method: str
    rule: str
    name: str
    differences: dict[str, Difference]
    """`id - full`, `ood - zero_shot` and so on; none where nothing is known of the images."""


class EqualId(BaseModel):
    """A method at equal ID accuracy: by points above zero-shot's, its OOD accuracy with half its interval."""

    model_config = ConfigDict(frozen=True)

    method: str
    ood: dict[str, tuple[float, float]]
    left_out: tuple[float, float] | None
    """OOD accuracy where each domain's configuration is chosen on the other domains."""


class Numbers:
    """Estimates of what a report's configurations reach, from their images; none without those."""

    def __init__(self, report: Report, draws: Mapping[int, Outcomes]) -> None:
        self._report, self._draws = report, draws
        self._configurations = {point.name: point for point in report.points}
        self._known = self._of_chosen() if draws else {}

    def halves(self, name: str) -> dict[str, float]:
        """Half the interval of each test accuracy of a configuration that a rule picks or that is on a front."""
        start = f"{name} "
        return {key.removeprefix(start): e.half_width() for key, e in self._known.items() if key.startswith(start)}

    def differences(self, pairs: Iterable[tuple[str, str]]) -> dict[str, Estimate]:
        """The differences of test accuracy of pairs of configurations: `id NAME NAME`, `ood ...`, and `mean ...` of
        both."""
        pairs = list(dict.fromkeys(pairs))
        if not self._draws or not pairs:
            return {}

        def numbers(names: tuple[str, ...], accuracies: Accuracies) -> dict[str, float]:
            row = {name: n for n, name in enumerate(names)}
            columns = {"id": accuracies["id/test"], "ood": ood_mean(accuracies, "test")}
            columns["mean"] = (columns["id"] + columns["ood"]) / 2
            return {f"{k} {a} {b}": float(own[row[a]] - own[row[b]]) for k, own in columns.items() for a, b in pairs}

        return estimated(self._only({name for pair in pairs for name in pair}), numbers)

    def equal_id(self) -> tuple[EqualId, ...]:
        """Every method at equal ID accuracy; nothing without zero-shot, which says where."""
        methods = dict.fromkeys(own.method for own in self._configurations.values())
        if not self._draws or "zero_shot" not in methods:
            return ()

        def numbers(names: tuple[str, ...], accuracies: Accuracies) -> dict[str, float]:
            views = view(self._configurations, names, accuracies)
            base, chosen = float(views["zero_shot"].id_test[0]), left_out(self._configurations, names, accuracies)
            found = {f"{m} {more:g}": own.ood_at(base + more) for m, own in views.items() for more in ABOVE_ZERO_SHOT}
            return found | {f"{method} left out": ood for method, ood in chosen.items()}

        known = estimated(self._draws, numbers)
        return tuple(
            EqualId(
                method=method,
                ood={f"{m:g}": _pair(known[key]) for m in ABOVE_ZERO_SHOT if (key := f"{method} {m:g}") in known},
                left_out=_pair(known[key]) if (key := f"{method} left out") in known else None,
            )
            for method in methods
        )

    def _only(self, names: set[str]) -> dict[int, Outcomes]:
        return {draw: own.only(names) for draw, own in self._draws.items()}

    def _of_chosen(self) -> dict[str, Estimate]:
        chosen = {own.name for m in self._report.methods for own in (*m.front, *m.picks.values())}

        def numbers(names: tuple[str, ...], accuracies: Accuracies) -> dict[str, float]:
            columns = {split.removesuffix("/test"): own for split, own in accuracies.items() if split.endswith("/test")}
            columns["ood"] = ood_mean(accuracies, "test")
            if domains := [own for key, own in columns.items() if key.startswith("ood/")]:
                columns["worst"] = np.min(domains, axis=0)
            return {f"{name} {key}": float(own[n]) for key, own in columns.items() for n, name in enumerate(names)}

        return estimated(self._only(chosen), numbers)


def comparisons(report: Report, numbers: Numbers, margin: float) -> tuple[Comparison, ...]:
    """Each method's picks, with what they differ by from the same rule's picks of full fine-tuning and zero-shot.

    Args:
        margin: points up to which a difference is none.
    """
    picks = [(m.method, rule, own) for m in report.methods for rule, own in m.picks.items()]
    pairs = {(own.name, base): pair for _, rule, own in picks for base, pair in _pairs(report, rule, own)}
    known = numbers.differences(pairs.values())
    keys = [key for key in known if not key.startswith("mean ")]
    corrected = dict(zip(keys, holm([known[key].p for key in keys]), strict=True))
    return tuple(
        Comparison(
            method=method,
            rule=rule,
            name=own.name,
            differences={
                f"{part} - {base}": Difference(
                    value=known[key].value,
                    half=known[key].half_width(),
                    p=corrected[key],
                    verdict=verdict(known[key], corrected[key], margin),
                )
                for base, (first, second) in _pairs(report, rule, own)
                for part in ("id", "ood")
                if (key := f"{part} {first} {second}") in known
            },
        )
        for method, rule, own in picks
    )


def _pairs(report: Report, rule: str, own: Configuration) -> list[tuple[str, tuple[str, str]]]:
    """What a pick is held against: the same rule's pick of each other base method."""
    bases = {m.method: m.picks[rule].name for m in report.methods if m.method in BASES and rule in m.picks}
    return [(base, (own.name, bases[base])) for base in BASES if base in bases and base != own.method]


def _pair(estimate: Estimate) -> tuple[float, float]:
    return estimate.value, estimate.half_width()
