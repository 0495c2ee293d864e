"""Pareto fronts: each method's best trade-offs of ID and OOD accuracy.

Validation images decide what is on a front; test accuracies are only reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Protocol, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from fpray.methods import METHODS, TrainedMethod
from fpray.records import Record, Trial, accuracy_key, configuration_of
from fpray.search import Study
from fpray.space import Params
from fpray.statistics import is_on_front

TEST = (accuracy_key("id/test"), accuracy_key("ood/test"))
"""The metric keys of the test accuracies."""


class Accuracy(BaseModel):
    """ID accuracy and mean OOD accuracy in per cent."""

    model_config = ConfigDict(frozen=True)

    id: float
    ood: float

    @property
    def pair(self) -> tuple[float, float]:
        return self.id, self.ood


class Configuration(BaseModel):
    """A method with its hyperparameters, and its accuracies, each the mean over the seeds."""

    model_config = ConfigDict(frozen=True)

    name: str
    method: str
    model: str | None = Field(None, exclude_if=lambda model: model is None)
    """The model's short name, where models are compared."""
    trainings: tuple[str, ...] = Field((), exclude_if=lambda trainings: not trainings)
    """The configurations whose training this is a point of: itself, or its sources; none of what trains nothing."""
    params: Params
    """All that was searched: hyperparameters, and the model and the source where there were several."""
    val: Accuracy
    test: Accuracy
    test_of_seeds: tuple[Accuracy, ...]
    """Of each trial."""
    test_half: Accuracy | None = Field(None, exclude_if=lambda half: half is None)
    """Half the width of each test accuracy's 95 % interval, over draws of the data, or seeds and images of one; None
    while trials are left."""
    trials: tuple[str, ...]


def finished(records: Iterable[Record], study: Study) -> list[list[Record]]:
    """The records of the configurations of a study whose trials have finished with every seed.

    Args:
        records: the study's.
    """

    def number(record: Record) -> int:
        return record.trial.number

    ended = sorted((r for r in records if r.status == "finished"), key=number)
    groups = [list(group) for _, group in groupby(ended, number)]
    return [group for group in groups if len(group) == len(study.repeats)]


def configurations(records: Iterable[Record], study: Study, objectives: tuple[str, str]) -> list[Configuration]:
    """The configurations of a study whose trials have finished with every seed.

    Args:
        records: the study's.
        objectives: the metric keys of the ID and the OOD validation accuracy.
    """
    return [_configuration(group, study, objectives) for group in finished(records, study)]


def _configuration(records: Sequence[Record], study: Study, objectives: tuple[str, str]) -> Configuration:
    """The configuration of some trials, which differ in their seeds only."""
    val = [accuracy_of(record.metrics(), *objectives) for record in records]
    test = [accuracy_of(record.metrics(), *TEST) for record in records]
    first = records[0].trial
    return Configuration(
        name=first.configuration,
        method=first.method,
        model=study.model,
        trainings=_trainings_of(first),
        params=study.suggestion(first),
        val=mean_of(val),
        test=mean_of(test),
        test_of_seeds=tuple(test),
        trials=tuple(record.trial.id for record in records),
    )


def _trainings_of(trial: Trial) -> tuple[str, ...]:
    if issubclass(METHODS[trial.method], TrainedMethod):
        return (trial.configuration,)
    return tuple(dict.fromkeys(map(configuration_of, trial.sources)))


def accuracy_of(metrics: Mapping[str, float], id_key: str, ood_key: str) -> Accuracy:
    """Two of a trial's accuracies, which are in `metrics` by their keys."""
    return Accuracy(id=metrics[id_key], ood=metrics[ood_key])


def mean_of(accuracies: Sequence[Accuracy]) -> Accuracy:
    """The mean over the seeds."""
    id_mean, ood_mean = np.mean([a.pair for a in accuracies], axis=0).tolist()
    return Accuracy(id=id_mean, ood=ood_mean)


class Validated(Protocol):
    """Something that validation images judge."""

    @property
    def val(self) -> Accuracy: ...


V = TypeVar("V", bound=Validated)


def front(configurations: Sequence[V]) -> list[V]:
    """The configurations that no other beats on both validation accuracies, the highest ID accuracy first."""
    kept = is_on_front([c.val.pair for c in configurations])
    best = [c for c, keep in zip(configurations, kept, strict=True) if keep]
    return sorted(best, key=lambda c: c.val.pair, reverse=True)
