"""A trial: from its configuration to its record."""

from __future__ import annotations

import functools
import subprocess
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import torch
from upath import UPath

from fpray import __version__
from fpray.checkpoint import Checkpoint, newest_checkpoint
from fpray.config import Sweep
from fpray.data import DATASETS
from fpray.data.base import Options
from fpray.evaluate import Predictions, predict
from fpray.memory import explained
from fpray.methods import METHODS, DerivedMethod, Method, TrainedMethod
from fpray.model import Classifier, weights_of
from fpray.movement import linear_cka, weight_distance
from fpray.pretrained import Model
from fpray.records import Cost, Epoch, Movement, Provenance, Record
from fpray.reference import Reference, load_reference
from fpray.runtime import Runtime
from fpray.store import AttemptStore, RecordStore
from fpray.train import train

PACKAGES = ("ray", "torch", "open_clip_torch", "peft", "optuna")


_WARM: dict[tuple[Model, Options, torch.device, int, bool], Reference] = {}
"""The reference that this process keeps, by all that it depends on."""


def reference_of(model: Model, sweep: Sweep, device: torch.device) -> Reference:
    """The reference of one of a sweep's models, loaded once in a process and kept for the trials that follow there."""
    data, loaders, checkpointing = sweep.data, sweep.resources.loaders, sweep.train.gradient_checkpointing
    key = (model, data, device, loaders, checkpointing)
    if key not in _WARM:
        _WARM.clear()  # first: two models at a time may not fit
        use_tf32(False)  # a head must not depend on which trial was here before
        reference = load_reference(model.name, model.pretrained, DATASETS[data.layout](data), device, loaders)
        if checkpointing:
            reference.classifier.encoder.set_grad_checkpointing()  # the methods' copies have it too
        _WARM[key] = reference
    return _WARM[key]


def run_trial(record: Record, sweep: Sweep, folder: UPath, runtime: Runtime) -> None:
    """Run a trial, or go on with it from its newest checkpoint, and write its record and weights.

    Args:
        record: the trial's record as it was when this attempt began, see `RecordStore.claim`.
        folder: the sweep's.

    Raises:
        TrainingError: if the trial can't go on, on another try neither.
        StoppedError: if the sweep is to be interrupted.
        SupersededError: if a later attempt has begun.
        StorageError: if something can't be written.
    """
    model = record.trial.model or sweep.model.each()[0]
    with explained(sweep, model.name, runtime.device):
        _run(record, sweep, model, AttemptStore(folder, record), runtime)


def _run(record: Record, sweep: Sweep, model: Model, store: RecordStore, runtime: Runtime) -> None:
    trial, reference = record.trial, reference_of(model, sweep, runtime.device)
    use_tf32(sweep.train.precision != "fp32")
    record = record.model_copy(update={"provenance": provenance(runtime.device)})
    method = build_method(record, reference, store)
    if isinstance(method, TrainedMethod):
        record = _train(method, record, sweep, store, runtime)
    else:
        write(store, record, runtime)
    began, classifier = time.monotonic(), method.plain()
    predictions = _evaluate(classifier, reference, runtime, sweep)
    unreadable = _unreadable(reference, runtime)
    if not runtime.is_main:
        return
    store.write_weights(trial.id, weights_of(classifier))
    store.write_correct(trial.id, {s: p.correct.cpu().numpy() for s, p in predictions.items() if s.endswith("/test")})
    store.write(
        record.model_copy(
            update={
                "status": "finished",
                "ended": time.time(),
                "results": {split: p.count for split, p in predictions.items()},
                "movement": _movement(classifier, reference, predictions),
                "cost": _cost(record.history, time.monotonic() - began),
                "unreadable": unreadable,
                "failures": 0,
                "error": None,
            }
        )
    )
    store.remove_checkpoints(trial.id)


def build_method(record: Record, reference: Reference, store: RecordStore) -> Method:
    """The trial's method, ready to train or, if it builds on another trial, with that trial's weights."""
    kind = METHODS[record.trial.method]
    torch.manual_seed(record.trial.seed)  # LoRA's A matrices start at random
    params = {name: value for name, value in record.trial.params.items() if name != "model"}
    method = kind(kind.Params.model_validate(params), reference)
    if isinstance(method, DerivedMethod):
        method.take_source(store.read_weights(method.params.source))
    return method


def write(store: RecordStore, record: Record, runtime: Runtime) -> None:
    if runtime.is_main:
        store.write(record)


def _train(method: TrainedMethod, record: Record, sweep: Sweep, store: RecordStore, runtime: Runtime) -> Record:
    folder = store.checkpoint_folder(record.trial.id)
    checkpoint = newest_checkpoint(folder)
    if checkpoint is not None:
        record = record.model_copy(update={"history": checkpoint.history})
    write(store, record, runtime)

    def keep(checkpoint: Checkpoint) -> None:
        checkpoint.write(folder, store.put)
        store.write(record.model_copy(update={"history": checkpoint.history, "failures": 0, "error": None}))

    splits = method.reference.dataset.splits()
    history = train(method, sweep.train, record.trial.seed, splits, runtime, checkpoint, keep)
    return record.model_copy(update={"history": history})


def _evaluate(classifier: Classifier, reference: Reference, runtime: Runtime, sweep: Sweep) -> dict[str, Predictions]:
    splits = [s for s in reference.dataset.splits() if s.part != "train"]
    return {s.name: predict(classifier, reference, s, runtime, sweep.train.autocast) for s in splits}


def _unreadable(reference: Reference, runtime: Runtime) -> dict[str, tuple[str, ...]]:
    """The names of the images that couldn't be decoded, by split."""
    found = {}
    for split in reference.dataset.splits():
        images = reference.dataset.images(split)
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


def use_tf32(allowed: bool) -> None:
    """Let matrix products and convolutions in fp32 be computed in TF32 on a GPU (10 bits of mantissa, much faster)."""
    if torch.cuda.is_available():
        torch.set_float32_matmul_precision("high" if allowed else "highest")
        torch.backends.cudnn.allow_tf32 = allowed


@functools.cache
def provenance(device: torch.device) -> Provenance:
    """What this process runs on and with."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return Provenance(versions=versions(), commit=commit(), device=name)


def versions() -> dict[str, str]:
    """The versions of fpray and of the packages that decide what a trial gives."""
    return {"fpray": __version__} | {package: version(package) for package in PACKAGES}


def commit() -> str | None:
    """The git commit of fpray's checkout, marked when it has changes; None for an installed package."""
    here = Path(__file__).parent
    if not (here.parent / ".git").exists():
        return None
    try:
        done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=here, capture_output=True, text=True)
    except OSError:
        return None  # no git on this machine
    return done.stdout.strip() or None
