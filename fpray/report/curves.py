"""Fronts of curves: what averaging a method's trained weights with the reference's adds to its configurations.

A curve's points come of one training, so they are reported beside the method's front and never counted in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from fpray.records import Record, accuracies
from fpray.report.pareto import TEST, Accuracy, accuracy_of, finished, front, mean_of
from fpray.search import Study


class Averaged(BaseModel):
    """A configuration's weights averaged with the reference's; its accuracies are means over the seeds."""

    model_config = ConfigDict(frozen=True)

    configuration: str
    alpha: float
    """The share of the trained weights."""
    val: Accuracy
    test: Accuracy | None = None
    """None while a seed's point has not been evaluated on the test images."""
    trials: tuple[str, ...]


def curve_front(records: Iterable[Record], study: Study, objectives: tuple[str, str]) -> list[Averaged]:
    """The points of a study's curves that no other of them beats on both validation accuracies, without the test's.

    Args:
        records: the study's.
        objectives: the metric keys of the ID and the OOD validation accuracy.
    """
    return front([point for group in finished(records, study) for point in _curve(group, objectives)])


def with_tests(points: Sequence[Averaged], records: Mapping[str, Record]) -> tuple[Averaged, ...]:
    """The points with their test accuracies.

    Args:
        records: of trials and of evaluated points, by their ids.
    """
    return tuple(point.model_copy(update={"test": _test(point, records)}) for point in points)


def _curve(seeds: Sequence[Record], objectives: tuple[str, str]) -> list[Averaged]:
    """The curve of a configuration; one that a seed has no point of is left out."""
    curves = [{point.alpha: accuracies(point.validation) for point in record.curve} for record in seeds]
    return [
        Averaged(
            configuration=seeds[0].trial.configuration,
            alpha=alpha,
            val=mean_of([accuracy_of(curve[alpha], *objectives) for curve in curves]),
            trials=tuple(record.trial.id for record in seeds),
        )
        for alpha in curves[0]
        if all(alpha in curve for curve in curves)
    ]


def _test(point: Averaged, records: Mapping[str, Record]) -> Accuracy | None:
    trials = [records[trial_id].trial for trial_id in point.trials]
    evaluated = [records.get(trial.id if point.alpha == 1 else trial.point(point.alpha).id) for trial in trials]
    found = [accuracy_of(r.metrics(), *TEST) for r in evaluated if r is not None and r.status == "finished"]
    return mean_of(found) if len(found) == len(trials) else None
