"""A trial whose weights were pruned, trained again and held to what it was."""

from __future__ import annotations

import tempfile
import time

import torch
from torch import Tensor
from upath import UPath

from fpray.errors import UserError
from fpray.records import Record, SweepFolder, digest_of, pruned_digest
from fpray.results import Results
from fpray.training import Runtime, run_trial

TOLERANCE = 0.01
"""The share of a split's images that may come out otherwise on a GPU, or on another kind of CPU."""


def weights_of_trial(results: Results, record: Record) -> tuple[dict[str, Tensor], str | None]:
    """A finished trial's weights: those kept, or if they were pruned, trained again.

    Returns:
        The weights, and what is to be said of them: None for those that are what they were, to the bit.

    Raises:
        UserError: if they are damaged, or what was trained again reaches something else.
    """
    store = SweepFolder(results.folder).records
    digest = pruned_digest(store, record.trial.id)
    if digest is None:
        return store.read_weights(record.trial.id), None
    again, weights = _trained(results, record)
    if digest_of(weights) == digest:
        return weights, None
    both = [(count, again.results[split]) for split, count in record.results.items()]
    worst = max(abs(before.correct - now.correct) / before.total for before, now in both)
    if worst > TOLERANCE:
        raise UserError(
            f"{record.trial.id} was trained again, since its weights were pruned, and differs from its record by "
            f"{100 * worst:.1f} % of a split's images; delete the trial, and the sweep's command makes it anew"
        )
    return weights, f"trained again on this machine; by {100 * worst:.1f} % of a split's images at most it is another"


def _trained(results: Results, record: Record) -> tuple[Record, dict[str, Tensor]]:
    """A trial run from its beginning, in a folder of its own."""
    trial, settings = record.trial, results.sweep.trial_settings(record.trial.method)
    gpu = bool(settings.resources.gpus) and torch.cuda.is_available()
    torch.set_num_threads(max(1, int(settings.resources.cpus)))  # as it was: sums in another order are others
    with tempfile.TemporaryDirectory(prefix="fpray-again-") as scratch:
        folder = SweepFolder(UPath(scratch))
        for source in trial.sources:
            own = next(record for record in results.records if record.trial.id == source)
            folder.records.write_weights(source, weights_of_trial(results, own)[0])
        model = trial.model or results.sweep.model.each()[0]
        fresh = folder.records.claim(Record(trial=trial, started=time.time()).of_model(model))
        run_trial(fresh, settings, folder, Runtime(torch.device("cuda" if gpu else "cpu")))
        return folder.records.read(trial.id), folder.records.read_weights(trial.id)
