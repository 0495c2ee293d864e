"""Whether a method can train on batches as a sweep file has them: shared by workers, cut in parts, mixed."""

from __future__ import annotations

from fpray.config.resources import Resources
from fpray.config.train import Train
from fpray.methods import METHODS, TrainedMethod


def require_batches(method: str, train: Train, resources: Resources, key: str) -> None:
    """
    Args:
        resources: of the method's trials.
        key: the section of the sweep file that gives the GPUs.

    Raises:
        ValueError: if the method trains, and can't on such batches.
    """
    kind = METHODS[method]
    if not issubclass(kind, TrainedMethod):
        return
    batch_size, workers, parts = train.batch_size, resources.workers, train.accumulate
    if batch_size == "auto":
        if not resources.gpus:
            raise ValueError(f"train.batch_size: 'auto' is what fits on a GPU, and {key}.gpus is 0; give a number")
    elif batch_size % workers:
        raise ValueError(f"train.batch_size: {batch_size} can't be shared evenly by {workers} workers")
    elif batch_size // workers < parts:
        share = f"the {batch_size // workers} images that each worker has of a batch"
        raise ValueError(f"train.accumulate: {share} can't be cut into {parts} parts; lower it")
    if kind.compares_images:
        _require_whole_batches(method, train)


def _require_whole_batches(method: str, train: Train) -> None:
    compares = f"{method} compares the images of a batch with each other"
    if train.accumulate > 1:
        raise ValueError(
            f"train.accumulate: {compares}, which parts of one would change; set it to 1, or leave {method} out"
        )
    for name in ("mixup", "label_smoothing"):
        if getattr(train.augment, name):
            raise ValueError(
                f"train.augment.{name}: {compares}, and each must be of one class; set it to 0, or leave {method} out"
            )
