"""What a sweep's findings rest on, small enough to keep: how many images of each split each configuration got right,
on each draw of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from fpray.records import Count, Record
from fpray.report.outcomes import ood_mean
from fpray.report.pareto import Accuracy, Configuration, finished
from fpray.results import Results
from fpray.search import studies
from fpray.space import Params
from fpray.statistics import Accuracies


class Kept(BaseModel):
    """A configuration, with the images that it got right: by split, by draw, the mean over its seeds; of all images,
    also where half of them don't count for it."""

    model_config = ConfigDict(frozen=True)

    method: str
    trainings: tuple[str, ...] = ()
    params: Params
    right: dict[int, dict[str, float]]


class Evidence(BaseModel):
    """The configurations that have finished on every draw, by their names."""

    model_config = ConfigDict(frozen=True)

    sweep: str
    objectives: tuple[str, ...]
    rules: tuple[str, ...]
    margin: float
    made_with: dict[str, str] = Field(description="packages and their versions")
    images: dict[str, int]
    """Of each split."""
    configurations: dict[str, Kept]

    @property
    def draws(self) -> list[int]:
        """The draws that every configuration has."""
        (first, *others) = (set(own.right) for own in self.configurations.values())
        return sorted(first.intersection(*others))

    def and_of(self, other: Evidence) -> Evidence:
        """The same with another sweep's draws of the same configurations.

        Raises:
            ValueError: if they differ in more than the draws.
        """
        if {n: (c.method, c.params) for n, c in self.configurations.items()} != {
            n: (c.method, c.params) for n, c in other.configurations.items()
        } or self.images != other.images:
            raise ValueError(f"'{other.sweep}' has other configurations or splits than '{self.sweep}'")
        together = {
            name: own.model_copy(update={"right": own.right | other.configurations[name].right})
            for name, own in self.configurations.items()
        }
        return self.model_copy(update={"configurations": together})

    def measured(self) -> dict[int, Measured]:
        """The accuracies of all configurations, by draw."""
        names = tuple(self.configurations)
        return {draw: Measured(names, self._accuracies(names, draw)) for draw in self.draws}

    def means(self) -> dict[str, Configuration]:
        """The configurations with their accuracies, the mean over the draws."""
        measured = self.measured().values()
        columns = {
            (role, part): np.mean([_role(own.values, role, part) for own in measured], axis=0)
            for role in ("id", "ood")
            for part in ("val", "test")
        }
        return {
            name: Configuration(
                name=name,
                method=own.method,
                trainings=own.trainings,
                params=own.params,
                val=Accuracy(id=columns["id", "val"][row], ood=columns["ood", "val"][row]),
                test=Accuracy(id=columns["id", "test"][row], ood=columns["ood", "test"][row]),
                test_of_seeds=(),
                trials=(),
            )
            for row, (name, own) in enumerate(self.configurations.items())
        }

    def _accuracies(self, names: tuple[str, ...], draw: int) -> Accuracies:
        right = [self.configurations[name].right[draw] for name in names]
        return {split: np.array([100 * own[split] / total for own in right]) for split, total in self.images.items()}


@dataclass(frozen=True)
class Measured:
    """The accuracies of configurations on one draw."""

    names: tuple[str, ...]
    values: Accuracies

    def accuracies(self) -> Accuracies:
        return self.values


def evidence_of(results: Results) -> Evidence:
    """What a sweep's findings rest on."""
    groups = [
        group
        for study in studies(results.sweep)
        for group in finished([record for record in results.records if study.has(record.trial)], study)
    ]
    known = {c.name: c for c in results.report.points}
    images = {split: max(g[0].results[split].total for g in groups) for split in groups[0][0].results}
    provenance = groups[0][0].provenance
    return Evidence(
        sweep=results.sweep.name,
        objectives=results.sweep.search.objectives,
        rules=results.sweep.report.rules,
        margin=results.sweep.report.margin,
        made_with=dict(provenance.versions) if provenance else {},
        images=images,
        configurations={
            (name := group[0].trial.configuration): Kept(
                method=group[0].trial.method,
                trainings=known[name].trainings,
                params=known[name].params,
                right=_right(group, images),
            )
            for group in groups
        },
    )


def _right(records: Sequence[Record], images: Mapping[str, int]) -> dict[int, dict[str, float]]:
    by_draw: dict[int, list[Mapping[str, Count]]] = {}
    for record in records:
        by_draw.setdefault(record.trial.draw, []).append(record.results)
    return {
        draw: {
            split: float(np.mean([own[split].correct * total / own[split].total for own in of_seeds]))
            for split, total in images.items()
        }
        for draw, of_seeds in by_draw.items()
    }


def _role(accuracies: Accuracies, role: str, part: str) -> np.ndarray:
    return ood_mean(accuracies, part) if role == "ood" else accuracies[f"id/{part}"]
