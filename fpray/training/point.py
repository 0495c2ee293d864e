"""A point of a trial's curve on the test images, when it is on a front."""

from __future__ import annotations

import copy

from fpray.config import TrialSettings
from fpray.model import interpolate, load_weights
from fpray.records import ALPHA, Record, RecordStore, SweepFolder, provenance_of
from fpray.training.evaluate import Evaluator
from fpray.training.memory import explained
from fpray.training.runtime import Runtime
from fpray.training.trial import reference_of, use_deterministic, use_tf32


def evaluate_point(
    record: Record, settings: TrialSettings, folder: SweepFolder, runtime: Runtime, *, trials: RecordStore
) -> None:
    """Evaluate a point on the test images, and write its record.

    Args:
        record: the point's, see `Trial.point`.
        folder: where the records of points are.
        trials: the records of the trials.

    Raises:
        UserError: if the trial's weights are damaged or gone.
        SupersededError: if a later attempt has begun.
        StorageError: if something can't be written.
    """
    trial = record.trial
    if trial.model is None:
        raise ValueError(f"{trial.id} names no model")
    use_deterministic(settings.train.deterministic)
    with explained(settings, trial.model.name, runtime.device):
        reference = reference_of(trial.model, settings, runtime.device)
        use_tf32(settings.train.precision != "fp32")
        classifier, alpha = reference.classifier, float(trial.params[ALPHA])
        if alpha > 0:  # at 0 it is the reference, whose features are known
            classifier = copy.deepcopy(classifier)
            load_weights(classifier, trials.read_weights(trial.sources[0]))
            interpolate(reference.classifier, classifier, alpha, into=classifier)
        tests = [split for split in reference.dataset.splits() if split.part == "test"]
        predictions = Evaluator(reference, tests, runtime, settings.train.autocast).predict(classifier)
    if runtime.is_main:
        store = folder.attempt(record)
        provenance = provenance_of(runtime.device_name, {plugin.name: plugin.sha256 for plugin in settings.plugins})
        store.write_correct(trial.id, {split: own.correct.cpu().numpy() for split, own in predictions.items()})
        results = {split: own.count for split, own in predictions.items()}
        store.write(record.resumed((), provenance).finished(results=results))
