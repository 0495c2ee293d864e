"""A trial: from its configuration to its record, in any PyTorch process.

`run_trial` makes the trial's method, trains it (`loop`, `step`, `mixing`, `optimizer`), evaluates it on every split,
and writes its record, predictions and weights; interrupted, it goes on from its newest checkpoint. The `Runtime` says
where it runs, on which device, as which of how many workers, and how it gives signs of life. `TrainingError` and
`StoppedError` say why a trial ends early. The loop is the same for every method, and knows none by name.

A trained trial's record has a curve of its weights averaged with the reference's (`curve`); `evaluate_point` gives one
point of it its test accuracies.

Nothing here knows Ray.
"""

from fpray.training.batchsize import costliest, fitting_batch_size
from fpray.training.loop import StoppedError, TrainingError, train
from fpray.training.point import evaluate_point
from fpray.training.runtime import Runtime
from fpray.training.speed import Speed, measured_speed, trial_seconds
from fpray.training.trial import Work, reference_of, run_trial

__all__ = [
    "Runtime",
    "Speed",
    "StoppedError",
    "TrainingError",
    "Work",
    "costliest",
    "evaluate_point",
    "fitting_batch_size",
    "measured_speed",
    "reference_of",
    "run_trial",
    "train",
    "trial_seconds",
]
