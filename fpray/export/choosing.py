"""Which model is taken away: what a rule picks, or a trial by its id; maybe averaged with the pre-trained weights."""

from __future__ import annotations

from dataclasses import dataclass

from fpray.config import labels_of, words_of
from fpray.errors import UserError
from fpray.records import Record, SweepFolder
from fpray.report import describe
from fpray.results import Results, find_trial


@dataclass(frozen=True)
class Chosen:
    """A finished trial, and the share of its weights that is taken."""

    record: Record
    alpha: float | None
    """The share of the trained weights, the rest the pre-trained ones' (WiSE-FT); None for the trial as it is."""
    reason: str
    """Why this one: the rule with the labels that it saw, or that it was named."""

    @property
    def name(self) -> str:
        """`full-003`, or `full-003-alpha-0.5`."""
        return self.record.trial.id if self.alpha is None else self.record.trial.point(self.alpha).id


def by_rule(results: Results, rule: str, method: str | None = None) -> Chosen:
    """What a rule picks, of one method or of all; of a configuration with several trials the first draw's and seed's.

    Raises:
        UserError: if there is no such rule or method, or nothing that will do.
    """
    picked = results.best(method, rule)
    record = find_trial(SweepFolder(results.folder), picked.trials[0])
    among = f"of {method}'s configurations" if method else "of all methods' configurations"
    reason = f"{words_of(rule)} {among} (rule {rule}, which sees {labels_of(rule)} labels)"
    if len(picked.trials) > 1:
        reason += f"; the first of its {len(picked.trials)} trials, which differ in draw or seed"
    return Chosen(record, None, reason)


def by_trial(results: Results, trial: str, alpha: float | None = None) -> Chosen:
    """A trial by its id.

    Raises:
        UserError: if there is none, it has not finished, or it has no weights of its own to average.
    """
    record = find_trial(SweepFolder(results.folder), trial)
    if record.status != "finished":
        raise UserError(f"{trial} is {record.status}; name a trial that has finished")
    if alpha is not None and not 0 <= alpha <= 1:
        raise UserError(f"--alpha {alpha:g}: must lie between 0, the pre-trained weights, and 1, the trial's own")
    if alpha is not None and not record.history:
        raise UserError(f"--alpha: {trial} was not trained, so there is nothing to average; leave it out")
    return Chosen(record, alpha, f"named by its id ({describe(record.trial.params) or 'nothing is searched'})")
