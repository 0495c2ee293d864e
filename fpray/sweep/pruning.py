"""Pruning: when a sweep with `keep: front` has ended, weights go that no front, pick, curve or derived trial needs."""

from __future__ import annotations

from collections.abc import Sequence

from fpray.config import Sweep
from fpray.records import Record, RecordStore, prune
from fpray.report import Report


def prune_weights(sweep: Sweep, report: Report, records: Sequence[Record], store: RecordStore) -> str | None:
    """Remove the weights that are not needed; returns a line about it, None if nothing was removed.

    Those of methods that others build on (`of`) all stay, since a longer sweep may build on any of them.
    """
    if sweep.keep == "all":
        return None
    sources = {source for settings in sweep.methods.values() for source in settings.sources()}
    needed = {own.name for method in report.methods for own in (*method.front, *method.picks.values())}
    needed |= {point.configuration for method in report.methods for point in method.curve}
    freed = [
        size
        for record in records
        if record.status == "finished" and record.trial.method not in sources
        if record.trial.configuration not in needed and (size := prune(store, record.trial.id))
    ]
    if not freed:
        return None
    return (
        f"keep: front has removed the weights of {len(freed)} trials, {sum(freed) / 1e6:,.1f} MB; `fpray export` "
        "trains such a trial again"
    )
