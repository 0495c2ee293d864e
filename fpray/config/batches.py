"""Whether a method can train on batches as a sweep file has them: shared by workers, cut in parts, mixed, with images
replayed beside them."""

from __future__ import annotations

from fpray.config.methods import MethodSettings
from fpray.config.resources import Resources
from fpray.config.train import Train
from fpray.data import DataOptions
from fpray.methods import METHODS, TrainedMethod


def require_batches(
    method: str, settings: MethodSettings, train: Train, data: DataOptions, resources: Resources
) -> None:
    """
    Args:
        resources: of the method's trials.

    Raises:
        ValueError: if the method trains, and can't on such batches.
    """
    kind, space = METHODS[method], settings.space()
    if not issubclass(kind, TrainedMethod):
        return
    _require_shares(method, settings, train, resources)
    if train.accumulate > 1 and kind.compares(space):
        raise ValueError(
            f"train.accumulate: {_compares(method)}, which parts of one would change; set it to 1, or leave {method} "
            "out"
        )
    if kind.compares_images:
        _require_one_class_each(method, train)
    if (wanted := kind.replays(space)) is not None:
        _require_replayed(method, wanted == "pairs", data, train, resources.workers)


def _require_shares(method: str, settings: MethodSettings, train: Train, resources: Resources) -> None:
    batch_size, workers, parts, own = train.batch_size, resources.workers, train.accumulate, settings.resources
    if batch_size == "auto":
        if not resources.gpus:
            given = own is not None and "gpus" in own.model_fields_set
            key = f"methods.{method}.resources.gpus" if given else "resources.gpus"
            raise ValueError(f"train.batch_size: 'auto' is what fits on a GPU, and {key} is 0; give a number")
    elif batch_size % workers:
        raise ValueError(f"train.batch_size: {batch_size} can't be shared evenly by {workers} workers")
    elif batch_size // workers < parts:
        share = f"the {batch_size // workers} images that each worker has of a batch"
        raise ValueError(f"train.accumulate: {share} can't be cut into {parts} parts; lower it")


def _compares(method: str) -> str:
    return f"{method} compares the images of a batch with each other"


def _require_one_class_each(method: str, train: Train) -> None:
    for name in ("mixup", "label_smoothing"):
        if getattr(train.augment, name):
            raise ValueError(
                f"train.augment.{name}: {_compares(method)}, and each must be of one class; set it to 0, or leave "
                f"{method} out"
            )


def _require_replayed(method: str, pairs: bool, data: DataOptions, train: Train, workers: int) -> None:
    replayed = data.rehearsal
    if replayed is None:
        files = "a .csv or .tsv of images and captions" if pairs else "a folder of images"
        source = "pretraining" if data.layout == "drawnet" else files
        raise ValueError(
            f"methods.{method}: there is nothing to replay; add data.rehearsal, {{source: ...}} with {source}, or "
            "leave the method out"
        )
    if pairs and not replayed.has_captions:
        raise ValueError(
            f"data.rehearsal.source: methods.{method} needs captions, and '{replayed.source}' is a folder of images; "
            "give a .csv or .tsv with the columns filepath and title"
        )
    if (size := replayed.batch_size) is None:
        return
    if size % workers:
        raise ValueError(f"data.rehearsal.batch_size: {size} can't be shared evenly by {workers} workers")
    sizes = [size] if train.batch_size == "auto" else [size, train.batch_size]
    # Else images would count differently: a loss is a mean over those of a part.
    if any(own // workers % train.accumulate for own in sizes):
        raise ValueError(
            f"train.accumulate: {train.accumulate} parts of a batch must be equal where data.rehearsal.batch_size is "
            f"given, and a worker has {' and '.join(str(own // workers) for own in sizes)} images; change one of them"
        )
