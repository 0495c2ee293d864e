"""A trial: from its configuration to its record."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, overload

import torch
from torch import Tensor

from fpray.config import Train, TrialSettings
from fpray.data import DataOptions, Dataset, open_dataset
from fpray.methods import METHODS, Method, TrainedMethod
from fpray.model import (
    Classifier,
    Model,
    PixelAugment,
    Reference,
    load_reference,
    metadata_of,
    switch_on_checkpointing,
    weights_of,
)
from fpray.records import (
    AttemptStore,
    Cost,
    CurvePoint,
    Epoch,
    Movement,
    Provenance,
    Record,
    RecordStore,
    SweepFolder,
    provenance_of,
)
from fpray.training.bench import ValidationBench
from fpray.training.checkpoint import Checkpoint, newest_checkpoint
from fpray.training.curve import curve_of
from fpray.training.evaluate import Evaluator, Predictions
from fpray.training.loop import train
from fpray.training.memory import explained
from fpray.training.movement import linear_cka, weight_distance
from fpray.training.runtime import Runtime

Work = Callable[[Record, TrialSettings, SweepFolder, Runtime], None]
"""Runs a trial, as `run_trial` does."""

_WARM: dict[tuple[Model, DataOptions, torch.device, int, int, bool, PixelAugment], Reference] = {}
"""The reference that this process keeps, by all that it depends on."""


def reference_of(model: Model, settings: TrialSettings, device: torch.device) -> Reference:
    """The reference of one of a sweep's models, loaded once in a process and kept for the trials that follow there."""
    data, loaders, kept = settings.data, settings.resources.loaders, settings.resources.kept_bytes
    checkpointing, augment = settings.train.gradient_checkpointing, settings.train.augment.pixels
    key = (model, data, device, loaders, kept, checkpointing, augment)
    if key not in _WARM:
        _WARM.clear()  # first: two models at a time may not fit
        use_tf32(False)  # a head must not depend on which trial was here before
        reference = load_reference(model.name, model.pretrained, open_dataset(data), device, loaders, kept, augment)
        if checkpointing:
            switch_on_checkpointing(reference.classifier.encoder)  # the methods' copies have it too
        _WARM[key] = reference
    return _WARM[key]


def run_trial(record: Record, settings: TrialSettings, folder: SweepFolder, runtime: Runtime) -> None:
    """Run a trial, or go on with it from its newest checkpoint, and write its record and weights.

    Args:
        record: the trial's record as it was when this attempt began, see `RecordStore.claim`.

    Raises:
        TrainingError: if the trial can't go on, on another try neither.
        StoppedError: if the sweep is to be interrupted.
        SupersededError: if a later attempt has begun.
        StorageError: if something can't be written.
    """
    with warm_reference(record, settings, runtime) as reference:
        _run(record, settings, reference, folder.attempt(record), runtime)


@contextmanager
def warm_reference(record: Record, settings: TrialSettings, runtime: Runtime) -> Iterator[Reference]:
    """The reference of a trial's model, with torch as the settings say; a lack of memory meanwhile is explained."""
    model = record.trial.model
    if model is None:
        raise ValueError(f"{record.trial.id} names no model")
    use_deterministic(settings.train.deterministic)
    with explained(settings, model.name, runtime.device):
        reference = reference_of(model, settings.drawn(record.trial.draw), runtime.device)
        use_tf32(settings.train.precision != "fp32")
        yield reference


def provenance_here(settings: TrialSettings, runtime: Runtime) -> Provenance:
    """What a trial runs with in this process."""
    return provenance_of(runtime.device_name, {plugin.name: plugin.sha256 for plugin in settings.plugins})


def _run(record: Record, settings: TrialSettings, reference: Reference, store: AttemptStore, runtime: Runtime) -> None:
    method = build_method(record, reference, store)
    checkpoint = newest_checkpoint(store.checkpoint_folder(record.trial.id))
    record = record.resumed(checkpoint.history if checkpoint else (), provenance_here(settings, runtime))
    if runtime.is_main:
        store.write(record)
    known: Mapping[str, Predictions] = {}
    if isinstance(method, TrainedMethod):
        train_settings = settings.train.model_copy(update={"epochs": record.trial.epochs(settings.train.epochs)})
        record, known = _train(method, record, train_settings, checkpoint, store, runtime)
    began = time.monotonic()
    bench = _bench(settings.train, reference, runtime) if method.learns_from_validation else None
    if bench is not None:
        with explained(settings, (record.trial.model or Model()).name, runtime.device):
            method.finish(bench)
    classifier = method.plain()
    if isinstance(method, TrainedMethod) and classifier is not method.current():  # as with LoRA, which is merged
        known = {}
    predictions = _evaluate(classifier, known, reference, runtime, settings.train.autocast)
    predictions |= _retention(classifier, reference, runtime, settings.train.autocast)
    if bench is not None:
        predictions[bench.split.name] = predictions[bench.split.name].without(bench.seen)
    curve: tuple[CurvePoint, ...] = ()
    if isinstance(method, TrainedMethod) and settings.train.alphas:
        curve = curve_of(classifier, settings.train.alphas, predictions, reference, runtime, settings.train.autocast)
    unreadable = _unreadable(_data_of(method), runtime)
    if runtime.is_main:
        metadata = metadata_of(record.trial.model or Model(), reference.dataset.classes)
        store.write_weights(record.trial.id, weights_of(classifier), metadata)
        store.write_images(record.trial.id, {split: own.images for split, own in predictions.items()})
        store.write(
            record.finished(
                results={split: p.count for split, p in predictions.items()},
                implied=method.implied() if isinstance(method, TrainedMethod) else {},
                curve=curve,
                movement=_movement(classifier, reference, predictions),
                weights=sum(weight.numel() for weight in reference.classifier.encoder.parameters()),
                cost=_cost(record.history, time.monotonic() - began),
                unreadable=unreadable,
            )
        )
        store.remove_checkpoints(record.trial.id)


def _bench(train: Train, reference: Reference, runtime: Runtime) -> ValidationBench:
    room = max(1, int(train.batch_size) // runtime.world_size // train.accumulate)
    return ValidationBench(reference, runtime, train.autocast, room)


def build_method(record: Record, reference: Reference, store: RecordStore) -> Method[Any]:
    """The trial's method, ready to train or, if it builds on other trials, with those trials' weights."""
    trial = record.trial
    torch.manual_seed(trial.seed)  # LoRA's A matrices start at random
    method = METHODS[trial.method].make(trial.params, reference)
    if trial.sources:
        method.take_sources(_Weights(store, trial.sources))
    return method


class _Weights(Sequence[Mapping[str, Tensor]]):
    """Trials' weights, read each time that they are asked for: those of a soup may not fit into memory together."""

    def __init__(self, store: RecordStore, trials: Sequence[str]) -> None:
        self._store, self._trials = store, trials

    def __len__(self) -> int:
        return len(self._trials)

    @overload
    def __getitem__(self, place: int) -> Mapping[str, Tensor]: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Mapping[str, Tensor]]: ...

    def __getitem__(self, place: int | slice) -> Mapping[str, Tensor] | Sequence[Mapping[str, Tensor]]:
        if isinstance(place, slice):
            return _Weights(self._store, self._trials[place])
        return self._store.read_weights(self._trials[place])


def _train(
    method: TrainedMethod[Any],
    record: Record,
    settings: Train,
    checkpoint: Checkpoint | None,
    store: AttemptStore,
    runtime: Runtime,
) -> tuple[Record, Mapping[str, Predictions]]:
    """Train the method in place, keeping checkpoints and the record of each epoch.

    Returns:
        The record, and the predictions of the last validation, see `Trained`.
    """
    folder = store.checkpoint_folder(record.trial.id)

    def save(checkpoint: Checkpoint) -> None:
        nonlocal record
        checkpoint.write(folder, store.put)
        record = record.with_checkpoint(len(checkpoint.history))

    def tell(history: tuple[Epoch, ...]) -> None:
        nonlocal record
        record = record.after_epoch(history)
        store.write(record)

    splits = method.reference.dataset.splits()
    trained = train(method, settings, record.trial.seed, splits, runtime, checkpoint, save, tell)
    if trained.history != record.history:
        record = record.after_epoch(trained.history)
    return record, trained.validation


def _evaluate(
    classifier: Classifier,
    known: Mapping[str, Predictions],
    reference: Reference,
    runtime: Runtime,
    autocast: torch.dtype | None,
) -> dict[str, Predictions]:
    """The predictions on every split but the training images, in the dataset's order."""
    splits = [s for s in reference.dataset.splits() if s.part != "train"]
    new = Evaluator(reference, [s for s in splits if s.name not in known], runtime, autocast).predict(classifier)
    return {s.name: known.get(s.name) or new[s.name] for s in splits}


def _retention(
    classifier: Classifier, reference: Reference, runtime: Runtime, autocast: torch.dtype | None
) -> dict[str, Predictions]:
    """The predictions on images of other classes, by the classifier's image tower and those classes' zero-shot head."""
    found: dict[str, Predictions] = {}
    for own in reference.retained:
        tuned = Classifier(classifier.encoder, own.classifier.head)
        found |= Evaluator(own, own.dataset.splits(), runtime, autocast).predict(tuned)
    return found


def _data_of(method: Method[Any]) -> list[Dataset]:
    """The data that a trial has seen."""
    reference = method.reference
    replays = isinstance(method, TrainedMethod) and method.replayed_data() is not None
    return [
        reference.dataset,
        *(own.dataset for own in reference.retained),
        *([reference.rehearsed] if replays else []),
    ]


def _unreadable(data: Iterable[Dataset], runtime: Runtime) -> dict[str, tuple[str, ...]]:
    """The names of the images that couldn't be decoded, by split."""
    found = {}
    for dataset in data:
        for split in dataset.splits():
            images = dataset.images(split)
            if images.unreadable is not None and (marks := runtime.any(images.unreadable)).any():
                found[split.name] = tuple(images.name_of(index) for index in marks.nonzero().flatten().tolist())
    return found


def _movement(classifier: Classifier, reference: Reference, predictions: Mapping[str, Predictions]) -> Movement:
    distance, relative = weight_distance(classifier, reference.classifier)
    validation = [s for s in reference.dataset.splits() if s.part == "val"]
    cka = {s.name: linear_cka(predictions[s.name].features.cpu(), reference.features(s)) for s in validation}
    return Movement(distance=distance, relative_distance=relative, cka=cka)


def _cost(history: tuple[Epoch, ...], evaluation_seconds: float) -> Cost:
    images, training = sum(e.images for e in history), sum(e.seconds for e in history)
    return Cost(
        seconds=training + sum(e.validation_seconds for e in history) + evaluation_seconds,
        images=images,
        images_per_second=images / training if training else 0.0,
    )


def use_deterministic(wanted: bool) -> None:
    """Let torch take algorithms that give the same bits each time, or else the fastest ones."""
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # which cuBLAS reads when it is first used
    torch.use_deterministic_algorithms(wanted)


def use_tf32(allowed: bool) -> None:
    """Let matrix products and convolutions in fp32 be computed in TF32 on a GPU (10 bits of mantissa, much faster)."""
    if torch.cuda.is_available():
        torch.set_float32_matmul_precision("high" if allowed else "highest")
        torch.backends.cudnn.allow_tf32 = allowed
