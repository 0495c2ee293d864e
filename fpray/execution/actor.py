"""The process of a trial: it trains by Ray Train, and says in the record how its attempt ended."""

from __future__ import annotations

import ctypes
import gc
import tempfile
import traceback
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import ray.train
import ray.train.torch
import torch

from fpray.config import PackedSettings, Resources, Train
from fpray.errors import UserError
from fpray.execution.watchdog import Watchdog
from fpray.records import AttemptStore, Record, SupersededError, SweepFolder
from fpray.storage import StorageError
from fpray.training import Runtime, StoppedError, TrainingError, Work

ENDS = (StoppedError, SupersededError, StorageError, TrainingError, UserError)
"""The errors that say what becomes of a trial."""
STORAGE_ERROR, STOPPED = "storage_error", "stopped"
"""The keys under which a trial's process says that it couldn't write, and that it was asked to stop."""


def trainable(
    packed: Mapping[str, PackedSettings], folder: SweepFolder, work: Work
) -> Callable[[dict[str, Any]], dict[str, Any] | None]:
    """The function that Tune calls with each trial's configuration, its record.

    Args:
        packed: the settings of each method's trials.
    """

    def trial(config: dict[str, Any]) -> dict[str, Any] | None:
        _spare_imports()
        record = Record.model_validate(config["record"])
        try:
            # Errors are told in the record and not to Tune: the process stays warm for the next trial.
            try:
                _fit(record, packed[record.trial.method], folder, work)
            except Exception as error:
                _record_error(error, folder.attempt(record))
        except StoppedError:
            return {STOPPED: True}
        except SupersededError:
            pass
        except StorageError as error:
            return {STORAGE_ERROR: (error.errno, error.strerror, error.filename)}
        finally:
            _clean_up(packed[record.trial.method].train)
        return None

    return trial


@cache
def _spare_imports() -> None:
    """Keep what was imported out of garbage collection: after each trial it would look through it for 0.1 s of CPU."""
    gc.freeze()


def _record_error(error: Exception, store: AttemptStore) -> None:
    """Write down why an attempt has failed, and whether another one may go better."""
    trace = traceback.format_exc()
    if isinstance(error, ray.train.WorkerGroupError):
        error = next((e for e in error.worker_failures.values() if isinstance(e, ENDS)), error)
    if isinstance(error, StoppedError | SupersededError | StorageError):
        raise error
    record = store.attempt()
    if isinstance(error, TrainingError | UserError) and not record.has_ended:
        store.write(record.failed(trace))
    else:
        store.write_error(trace)


def _clean_up(train: Train) -> None:
    """Free what a trial leaves in cycles (an error's frames, a compiled module): it would take the next one's room."""
    if train.compiles:
        torch.compiler.reset()  # it compiles a function for eight kinds of module at most, then gives up in silence
    gc.collect()
    torch.cuda.empty_cache()
    give_memory_back()


def give_memory_back() -> None:
    """Give what is free of this process's memory back to the system; glibc alone keeps it.

    Each trial has threads of its own, and glibc by thread an arena of its own: what one trial freed, the next would not
    use. With a ViT-B/16 a process came to hold 11 GiB, where no trial takes more than 6.
    """
    if (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(ctypes.c_size_t(0))


def _fit(record: Record, packed: PackedSettings, folder: SweepFolder, work: Work) -> None:
    """Train in this process with one worker (Train's local mode), in a worker group with several."""
    resources = packed.resources
    alone = resources.workers == 1

    def loop() -> None:
        torch.set_num_threads(max(1, int(resources.cpus)))
        with Watchdog(resources.stall_seconds, folder.attempt(record).write_error) as watchdog:
            make = _runtime_alone if alone else _runtime_in_worker_group
            work(record, packed.unpacked(), folder, make(resources, watchdog.beat, folder.stop.is_made))

    with tempfile.TemporaryDirectory(prefix="fpray-train-") as scratch:
        ray.train.torch.TorchTrainer(
            loop,
            scaling_config=ray.train.ScalingConfig(
                num_workers=0 if alone else resources.workers,
                use_gpu=resources.gpus > 0,
                resources_per_worker=None if alone else {"CPU": resources.cpus, "GPU": resources.gpus},
                accelerator_type=None if alone else resources.accelerator,
            ),
            run_config=None if alone else ray.train.RunConfig(name=record.trial.id, storage_path=scratch),
        ).fit()


def _runtime_alone(resources: Resources, beat: Callable[[], None], stop_asked: Callable[[], bool]) -> Runtime:
    """The runtime of a trial in one process; Ray shows it no GPU but its own."""
    device = torch.device("cuda" if resources.gpus else "cpu")
    return Runtime(device, beat=beat, stop_asked=stop_asked)


def _runtime_in_worker_group(resources: Resources, beat: Callable[[], None], stop_asked: Callable[[], bool]) -> Runtime:
    """The runtime of a Ray Train worker, whose process group Train has set up."""
    device = ray.train.torch.get_device()  # of several GPUs that Ray shows to all workers of a node
    if device.type == "cuda":
        torch.cuda.set_device(device)
    context = ray.train.get_context()
    return Runtime(device, context.get_world_rank(), context.get_world_size(), beat=beat, stop_asked=stop_asked)
