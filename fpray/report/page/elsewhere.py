"""What picks reach on other data, where finished trials were evaluated on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from statistics import fmean

from pydantic import BaseModel, ConfigDict

from fpray.records import Record, configuration_of
from fpray.report.report import Report


class Evaluation(BaseModel):
    """An evaluation on other data: by configuration and split, the accuracy with half its interval over images."""

    model_config = ConfigDict(frozen=True)

    name: str
    splits: tuple[str, ...]
    accuracies: dict[str, dict[str, tuple[float, float]]]


def evaluated(report: Report, evaluations: Mapping[str, Sequence[Record]]) -> tuple[Evaluation, ...]:
    """Every evaluation, of the configurations that a rule picks.

    Args:
        evaluations: the records of points at alpha 1, by the evaluation's name.
    """
    picked = dict.fromkeys(own.name for method in report.methods for own in method.picks.values())
    return tuple(_evaluation(name, list(picked), records) for name, records in evaluations.items())


def _evaluation(name: str, picked: Sequence[str], records: Sequence[Record]) -> Evaluation:
    ended = [record for record in records if record.status == "finished"]
    by_name = {own: [r for r in ended if configuration_of(r.trial.sources[0]) == own] for own in picked}
    return Evaluation(
        name=name,
        splits=tuple(ended[0].results) if ended else (),
        accuracies={own: _accuracies(trials) for own, trials in by_name.items() if trials},
    )


def _accuracies(trials: Sequence[Record]) -> dict[str, tuple[float, float]]:
    """The mean over some trials; its interval is one trial's, since they may have seen the same images."""
    found = {}
    for split, count in trials[0].results.items():
        share = fmean(record.results[split].top1 for record in trials) / 100
        found[split] = 100 * share, 196 * sqrt(share * (1 - share) / count.total)
    return found
