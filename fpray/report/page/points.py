"""The points of the picture: each configuration with its accuracies on every split, and what it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from fpray.records import Record
from fpray.report.page.compared import Numbers
from fpray.report.pareto import Configuration
from fpray.report.report import Report, describe
from fpray.space import Value

Calibration = Mapping[str, tuple[float, float]]


class Point(BaseModel):
    """A configuration; what several trials differ in is their mean."""

    model_config = ConfigDict(frozen=True)

    name: str
    method: str
    model: str | None
    source: str | None
    """The configuration that it is made of, where it trains nothing."""
    params: dict[str, Value]
    text: str
    """Its hyperparameters in a line."""
    rules: tuple[str, ...]
    """Those that pick it."""
    val: dict[str, float]
    """By split, without the part: `id`, `ood/sketch`."""
    test: dict[str, float]
    half: dict[str, float]
    """Half the interval of test accuracies, and of their mean over OOD domains, `ood`; of picks and fronts alone."""
    calibration: dict[str, tuple[float, float]]
    """The expected calibration error, `id` and `ood`, in per cent with half its interval; of picks alone."""
    of_trials: tuple[tuple[float, float], ...]
    """Each trial's ID and mean OOD test accuracy."""
    seconds: float
    """Of one trial."""
    distance: float | None
    """Of its weights from the pre-trained ones, as a share of their norm."""
    cka: float | None
    """Of its features with the pre-trained ones: the mean over OOD validation splits."""


def points_of(
    report: Report, records: Mapping[str, Record], numbers: Numbers, calibration: Mapping[str, Calibration]
) -> tuple[Point, ...]:
    """Every configuration of a report.

    Args:
        records: of its trials, by their ids.
        calibration: of those that a rule picks, by their names.
    """
    rules: dict[str, list[str]] = {}
    for method in report.methods:
        for rule, picked in method.picks.items():
            rules.setdefault(picked.name, []).append(rule)
    return tuple(
        _point(c, [records[t] for t in c.trials], rules.get(c.name, ()), numbers, calibration.get(c.name, {}))
        for c in report.points
    )


def _point(
    own: Configuration,
    trials: Sequence[Record],
    rules: Sequence[str],
    numbers: Numbers,
    calibration: Calibration,
) -> Point:
    accuracies = {split: float(np.mean([r.results[split].top1 for r in trials])) for split in trials[0].results}
    moved = [record.movement for record in trials if record.movement is not None]
    cka = [value for movement in moved for split, value in movement.cka.items() if split.startswith("ood/")]
    return Point(
        name=own.name,
        method=own.method,
        model=own.model,
        source=next((name for name in own.trainings if name != own.name), None) if len(own.trainings) == 1 else None,
        params=own.params,
        text=describe(own.params),
        rules=tuple(rules),
        val={split.removesuffix("/val"): value for split, value in accuracies.items() if split.endswith("/val")},
        test={split.removesuffix("/test"): value for split, value in accuracies.items() if split.endswith("/test")},
        half=numbers.halves(own.name),
        calibration=dict(calibration),
        of_trials=tuple(accuracy.pair for accuracy in own.test_of_seeds),
        seconds=float(np.mean([record.cost.seconds for record in trials if record.cost] or [0.0])),
        distance=float(np.mean([movement.relative_distance for movement in moved])) if moved else None,
        cka=float(np.mean(cka)) if cka else None,
    )
