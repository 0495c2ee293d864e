"""Trials that failed and are tried again: with their hyperparameters, but for those that the file no longer allows."""

from __future__ import annotations

from collections.abc import Sequence

from fpray.config import Sweep
from fpray.records import Record
from fpray.search.searcher import drawn
from fpray.search.study import Study, studies
from fpray.space import Params


def tried_again(records: Sequence[Record], sweep: Sweep, start: int) -> list[Record]:
    """The records of a sweep's trials, of which those that failed are to go on.

    Those whose hyperparameters today's sweep file doesn't allow begin from nothing, with values that it allows in
    their place: unless other seeds of the same configuration have finished with the old ones.

    Args:
        start: the number of the start that suggests the new values.
    """
    finished = {record.trial.configuration for record in records if record.status == "finished"}
    return [_again(r, sweep, start, finished) if r.status == "failed" else r for r in records]


def _again(failed: Record, sweep: Sweep, start: int, finished: set[str]) -> Record:
    again, trial = failed.again(), failed.trial
    study = next((study for study in studies(sweep) if study.has(trial)), None)
    if study is None or trial.configuration in finished:
        return again
    new = _new_values(failed, study, sweep)
    return again.drawn_anew(trial.params | new, start) if new else again


def _new_values(failed: Record, study: Study, sweep: Sweep) -> Params:
    """New values of those hyperparameters that have one outside of the study's space."""
    params, space = failed.trial.params, study.settings.space()
    unfit = {name: dimension for name, dimension in space.items() if params.get(name) not in dimension}
    return drawn(unfit, sweep.search, study.name, failed.trial.number) if unfit else {}
