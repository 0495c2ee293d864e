"""The methods compared: each pick against full fine-tuning's and zero-shot's, and all at equal ID accuracy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from pydantic import BaseModel, ConfigDict

from fpray.report.differences import Difference, differences_of
from fpray.report.findings import ABOVE_ZERO_SHOT, BASES
from fpray.report.leftout import left_out
from fpray.report.outcomes import Outcomes, estimated, ood_mean
from fpray.report.pareto import Configuration
from fpray.report.report import MethodReport, Report
from fpray.report.views import rows_by_model, view
from fpray.search import study_name
from fpray.statistics import Accuracies, Estimate


class Comparison(BaseModel):
    """A method's pick, and how it differs from what the same rule picks of other methods on the same model."""

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
        """Every method at equal ID accuracy, on each model; nothing on one without zero-shot, which says where."""
        every = self._configurations.values()
        models = {own.model for own in every if own.method == "zero_shot"}
        if not self._draws or not models:
            return ()

        def numbers(names: tuple[str, ...], accuracies: Accuracies) -> dict[str, float]:
            found: dict[str, float] = {}
            for model, rows in rows_by_model(self._configurations, names, accuracies).items():
                if model in models:
                    own = self._at_equal_id(*rows)
                    found |= {f"{study_name(method, model)} {key}": v for (method, key), v in own.items()}
            return found

        known = estimated(self._draws, numbers)
        return tuple(
            EqualId(
                method=name,
                ood={f"{m:g}": _pair(known[key]) for m in ABOVE_ZERO_SHOT if (key := f"{name} {m:g}") in known},
                left_out=_pair(known[key]) if (key := f"{name} left out") in known else None,
            )
            for name in dict.fromkeys(study_name(own.method, own.model) for own in every if own.model in models)
        )

    def _at_equal_id(self, names: tuple[str, ...], accuracies: Accuracies) -> dict[tuple[str, str], float]:
        """The OOD accuracies of every method on one model: at each of `ABOVE_ZERO_SHOT`, and `left out`."""
        views = view(self._configurations, names, accuracies)
        base, chosen = float(views["zero_shot"].id_test[0]), left_out(self._configurations, names, accuracies)
        found = {(m, f"{more:g}"): own.ood_at(base + more) for m, own in views.items() for more in ABOVE_ZERO_SHOT}
        return found | {(method, "left out"): ood for method, ood in chosen.items()}

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
    """Each method's picks, with what they differ by from the same rule's picks of full fine-tuning and zero-shot on the
    same model.

    Args:
        margin: points up to which a difference is none.
    """
    picks = [(m, rule, own) for m in report.methods for rule, own in m.picks.items()]
    pairs = [pair for m, rule, own in picks for _, pair in _pairs(report, m, rule, own)]
    known = {key: own for key, own in numbers.differences(pairs).items() if not key.startswith("mean ")}
    differences = differences_of(known, margin)
    return tuple(
        Comparison(
            method=m.name,
            rule=rule,
            name=own.name,
            differences={
                f"{part} - {base}": differences[key]
                for base, (first, second) in _pairs(report, m, rule, own)
                for part in ("id", "ood")
                if (key := f"{part} {first} {second}") in differences
            },
        )
        for m, rule, own in picks
    )


def _pairs(report: Report, method: MethodReport, rule: str, own: Configuration) -> list[tuple[str, tuple[str, str]]]:
    """What a method's pick is held against: the same rule's pick of each other base method on the same model."""
    there = [m for m in report.methods if m.model == method.model and m.method in BASES and rule in m.picks]
    bases = {m.method: m.picks[rule].name for m in there}
    return [(base, (own.name, bases[base])) for base in BASES if base in bases and base != own.method]


def _pair(estimate: Estimate) -> tuple[float, float]:
    return estimate.value, estimate.half_width()
