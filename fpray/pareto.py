"""Pareto fronts: each method's best trade-offs of ID and OOD accuracy, their hypervolume, and picks from them.

Validation images decide what is on a front and what is picked; test accuracies are only reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Literal

import moocore
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from fpray.records import Record
from fpray.space import Params

Rule = Literal["id_val", "ood_val", "knee"]
"""How one point of a method is picked: by ID or OOD validation accuracy, or at the front's knee."""


class Accuracy(BaseModel):
    """ID accuracy and mean OOD accuracy in per cent."""

    model_config = ConfigDict(frozen=True)

    id: float
    ood: float

    @property
    def pair(self) -> tuple[float, float]:
        return self.id, self.ood


class Point(BaseModel):
    """One configuration of a method: its accuracies, each the mean over the seeds."""

    model_config = ConfigDict(frozen=True)

    name: str
    method: str
    model: str | None = Field(None, exclude_if=lambda model: model is None)
    """The model's short name, where models are compared."""
    params: Params
    val: Accuracy
    test: Accuracy
    test_of_seeds: tuple[Accuracy, ...]
    trials: tuple[str, ...]


def points(records: Iterable[Record], objectives: tuple[str, str], seeds: int, model: str | None = None) -> list[Point]:
    """The configurations whose trials have finished with every one of the `seeds`.

    Args:
        records: of one model, or of all those that one search chose from.
        model: its short name, where models are compared.
    """

    def configuration(record: Record) -> tuple[str, int]:
        return record.trial.method, record.trial.number

    finished = sorted((r for r in records if r.status == "finished"), key=configuration)
    groups = [list(group) for _, group in groupby(finished, configuration)]
    return [_point(group, objectives, model) for group in groups if len(group) == seeds]


def _point(records: Sequence[Record], objectives: tuple[str, str], model: str | None) -> Point:
    val = [_accuracy(record, *objectives) for record in records]
    test = [_accuracy(record, "id/test/top1", "ood/test/top1") for record in records]
    first = records[0].trial
    return Point(
        name=_without_seed(first.id, records),
        method=first.method,
        model=model,
        params={key: value for key, value in first.params.items() if key != "source"} | _source(records),
        val=_mean(val),
        test=_mean(test),
        test_of_seeds=tuple(test),
        trials=tuple(record.trial.id for record in records),
    )


def _source(records: Sequence[Record]) -> Params:
    """The configuration that a method built on, where it did: each seed on its own trial of it."""
    source = records[0].trial.params.get("source")
    if source is None:
        return {}
    return {"source": _without_seed(str(source), records)}


def _without_seed(trial_id: str, records: Sequence[Record]) -> str:
    """The name of a configuration, from a trial's id, which names its seed where there are several."""
    return trial_id if len(records) == 1 else trial_id.rpartition("-s")[0]


def _accuracy(record: Record, id_key: str, ood_key: str) -> Accuracy:
    metrics = record.metrics()
    return Accuracy(id=metrics[id_key], ood=metrics[ood_key])


def _mean(accuracies: Sequence[Accuracy]) -> Accuracy:
    id_mean, ood_mean = np.mean([a.pair for a in accuracies], axis=0).tolist()
    return Accuracy(id=id_mean, ood=ood_mean)


def front(points: Sequence[Point]) -> list[Point]:
    """The points that no other beats on both validation accuracies, in the order of falling ID accuracy."""
    if not points:
        return []
    kept = moocore.is_nondominated(np.array([p.val.pair for p in points]), maximise=True)
    return sorted((p for p, keep in zip(points, kept, strict=True) if keep), key=lambda p: (-p.val.id, -p.val.ood))


def hypervolume(accuracies: Sequence[Accuracy], reference_point: tuple[float, float]) -> float:
    """The area, in squared per cent, between the reference point and the accuracies, both maximised.

    Accuracies that are not above the reference point in both add nothing (moocore's definition).
    """
    if not accuracies:
        return 0.0
    return float(moocore.hypervolume(np.array([a.pair for a in accuracies]), ref=reference_point, maximise=True))


def pick(points: Sequence[Point], rule: Rule) -> Point:
    """The configuration that a rule picks of a method's points; ties go to the better in the other accuracy."""
    if rule == "id_val":
        return max(points, key=lambda p: (p.val.id, p.val.ood))
    if rule == "ood_val":
        return max(points, key=lambda p: (p.val.ood, p.val.id))
    return _knee(front(points))


def _knee(front: Sequence[Point]) -> Point:
    """The point of a front that lies farthest above the line through its two ends.

    With each accuracy scaled to [0, 1] over the front, that is the largest sum of the two. A front of one or two
    points has no bend: the better mean of ID and OOD accuracy wins.
    """
    values = np.array([p.val.pair for p in front])
    extent = np.ptp(values, axis=0)
    height = ((values - values.min(axis=0)) / np.where(extent > 0, extent, 1)).sum(axis=1).round(9)
    best = max(range(len(front)), key=lambda i: (height[i], values[i].sum()))
    return front[best]
