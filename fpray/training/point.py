"""A point of a trial's curve on the test images, when it is on a front."""

from __future__ import annotations

from fpray.config import TrialSettings
from fpray.model import averaged
from fpray.records import ALPHA, Record, RecordStore, SweepFolder
from fpray.training.evaluate import Evaluator
from fpray.training.runtime import Runtime
from fpray.training.trial import provenance_here, warm_reference


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
    trial, alpha = record.trial, float(record.trial.params[ALPHA])
    with warm_reference(record, settings, runtime) as reference:
        classifier = reference.classifier
        if alpha > 0:  # at 0 it is the reference, whose features are known
            classifier = averaged(classifier, trials.read_weights(trial.sources[0]), alpha)
        tests = [split for split in reference.dataset.splits() if split.part == "test"]
        predictions = Evaluator(reference, tests, runtime, settings.train.autocast).predict(classifier)
    if runtime.is_main:
        store = folder.attempt(record)
        store.write_images(trial.id, {split: own.images for split, own in predictions.items()})
        results = {split: own.count for split, own in predictions.items()}
        store.write(record.resumed((), provenance_here(settings, runtime)).finished(results=results))
