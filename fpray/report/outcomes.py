"""Outcomes: which images each finished configuration got right, on each draw of the data, and how sure that makes."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fpray.config import Sweep
from fpray.records import DamagedRecordError, Record, RecordStore
from fpray.report.pareto import finished
from fpray.search import Study, studies
from fpray.statistics import Accuracies, Correct, Estimate, by_resampling, over_draws, share


@dataclass(frozen=True)
class Outcomes:
    """Of some configurations, on one draw of the data."""

    names: tuple[str, ...]
    """The configurations, in the order of rows."""
    correct: Correct
    """Of each validation and test split."""

    def only(self, names: Collection[str]) -> Outcomes:
        """The outcomes of some of the configurations."""
        rows = [row for row, name in enumerate(self.names) if name in names]
        return Outcomes(tuple(self.names[row] for row in rows), {s: own[rows] for s, own in self.correct.items()})

    def accuracies(self) -> Accuracies:
        """The mean accuracy over the seeds, in per cent: [rows] of each split."""
        return {split: 100 * share(own, (1, 2)) for split, own in self.correct.items()}


def outcomes(records: Sequence[Record], studies: Sequence[Study], store: RecordStore) -> dict[int, Outcomes]:
    """The outcomes of all configurations of which every trial has finished, by the seed of the draw.

    Raises:
        FileNotFoundError: if a trial's images aren't kept, as of an earlier fpray.
        DamagedRecordError: if what is kept of them is damaged.
    """
    groups = [
        group
        for study in studies
        for group in finished([record for record in records if study.has(record.trial)], study)
    ]
    draws = dict.fromkeys(record.trial.draw for group in groups for record in group)
    return {draw: _of_draw([[r for r in group if r.trial.draw == draw] for group in groups], store) for draw in draws}


def known_outcomes(sweep: Sweep, records: Sequence[Record], store: RecordStore) -> dict[int, Outcomes]:
    """The outcomes of a sweep's trials; none where an earlier fpray's are among them, which kept no images."""
    try:
        return outcomes(records, studies(sweep), store)
    except (FileNotFoundError, DamagedRecordError):
        return {}


def with_validation(outcomes: Mapping[int, Outcomes]) -> Mapping[int, Outcomes]:
    """The outcomes, by which fronts can be chosen anew; none of an earlier fpray's, which kept test images alone."""
    return outcomes if all("id/val" in own.correct for own in outcomes.values()) else {}


def _of_draw(groups: Sequence[Sequence[Record]], store: RecordStore) -> Outcomes:
    kept = [[store.read_correct(record) for record in group] for group in groups]
    return Outcomes(
        names=tuple(group[0].trial.configuration for group in groups),
        correct={split: np.array([[own[split] for own in seeds] for seeds in kept]) for split in kept[0][0]},
    )


class Drawn(Protocol):
    """What is known of configurations on one draw; more than their accuracies where it is the only one."""

    @property
    def names(self) -> tuple[str, ...]: ...

    def accuracies(self) -> Accuracies: ...


def estimated(
    outcomes: Mapping[int, Drawn], numbers: Callable[[tuple[str, ...], Accuracies], Mapping[str, float]]
) -> dict[str, Estimate]:
    """Numbers with their uncertainty: over the draws of the data, or where there is one, over its seeds and images.

    Args:
        numbers: computed of the accuracies of named rows, by name; one that is not a number counts for no draw.

    Returns:
        Those that are known on two draws or more, or on the only one.

    Raises:
        TypeError: if the only draw's are no `Outcomes`.
    """
    if len(outcomes) == 1:
        (only,) = outcomes.values()
        if not isinstance(only, Outcomes):
            raise TypeError("one draw's uncertainty comes from its images, and only accuracies are known")
        found = by_resampling(lambda accuracies: numbers(only.names, accuracies), only.correct)
        return {name: e for name, e in found.items() if math.isfinite(e.value) and math.isfinite(e.error)}
    by_draw = [numbers(own.names, own.accuracies()) for own in outcomes.values()]
    told = {name: [values[name] for values in by_draw if math.isfinite(values[name])] for name in by_draw[0]}
    return {name: over_draws(values) for name, values in told.items() if len(values) > 1}


def ood_mean(accuracies: Accuracies, part: str) -> NDArray[np.float64]:
    """The plain mean over the OOD domains, [rows]."""
    own = [column for split, column in accuracies.items() if split.startswith("ood/") and split.endswith(f"/{part}")]
    return np.asarray(np.mean(own, axis=0))


def on_test(outcomes: Mapping[int, Outcomes]) -> dict[str, tuple[Estimate, Estimate]]:
    """The ID and the mean OOD test accuracy of each configuration, by its name."""
    tests = {draw: Outcomes(own.names, _tests(own.correct)) for draw, own in outcomes.items()}

    def numbers(names: tuple[str, ...], accuracies: Accuracies) -> dict[str, float]:
        columns = {"id": accuracies["id/test"], "ood": ood_mean(accuracies, "test")}
        return {f"{name} {part}": float(own[row]) for part, own in columns.items() for row, name in enumerate(names)}

    found = estimated(tests, numbers)
    names = next(iter(tests.values())).names
    return {name: (found[f"{name} id"], found[f"{name} ood"]) for name in names}


def _tests(correct: Correct) -> Correct:
    return {split: own for split, own in correct.items() if split.endswith("/test")}
