"""Optuna's studies of a sweep, written down for Optuna's own tools: a sweep itself keeps them in memory alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean

from fpray.config import Sweep
from fpray.records import Record
from fpray.search.searcher import Objectives, write_study
from fpray.search.study import SOURCE, Study, studies
from fpray.space import Choice, Params


def export_studies(sweep: Sweep, records: Iterable[Record], storage: str) -> list[str]:
    """Write every study of a sweep that has trials that have ended.

    Args:
        storage: an address as Optuna takes it, `sqlite:///studies.db`.

    Returns:
        Their names there: `SWEEP/full`.

    Raises:
        UserError: if a study of one of the names is there already, or the storage can't be opened.
    """
    records, names = list(records), []
    for study in studies(sweep):
        trials = trials_of(study, records, sweep.search.objectives)
        if trials:
            space = study.space()
            if study.settings.sources():
                space = {SOURCE: Choice(tuple(dict.fromkeys(params[SOURCE] for params, _ in trials)))} | space
            names.append(f"{sweep.name}/{study.name}")
            write_study(names[-1], space, trials, sweep.search.objectives, storage)
    return names


def trials_of(
    study: Study, records: Sequence[Record], objectives: Sequence[str]
) -> list[tuple[Params, Objectives | None]]:
    """Each configuration of a study of which every trial has ended, with the mean over them."""
    own: dict[int, list[Record]] = {}
    for record in records:
        if study.has(record.trial) and record.has_ended:
            own.setdefault(record.trial.number, []).append(record)
    return [
        (study.suggestion(trials[0].trial), _mean(trials, objectives))
        for _, trials in sorted(own.items())
        if len(trials) == len(study.repeats)
    ]


def _mean(trials: Sequence[Record], objectives: Sequence[str]) -> Objectives | None:
    if any(record.status != "finished" for record in trials):
        return None
    return tuple(fmean(record.metrics()[key] for record in trials) for key in objectives)
