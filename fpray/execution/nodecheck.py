"""What is found out on a node before trials run there: everything that they need is there, too."""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from upath import UPath

from fpray.config import PackedSettings, TrialSettings
from fpray.data import open_dataset, with_those_beside
from fpray.errors import UserError, message_of
from fpray.methods import METHODS
from fpray.model import LoadedClip, Model, open_model
from fpray.space import Space
from fpray.storage import StorageError, read_whole, write_whole

DISK = 1e9
"""Bytes that must be free for temporary files."""
SHARED_MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Expected:
    """What a node must have."""

    versions: Mapping[str, str]
    """Of fpray, Ray and Python, as the command has them."""
    settings: PackedSettings
    """Those of the method whose trials need most."""
    models: Sequence[Model]
    spaces: Mapping[str, Space]
    """The search dimensions of each method, which is held against each model."""
    storage: UPath
    """A folder that the command has just made in the sweep's folder, with a file `command` in it."""


def versions_here() -> dict[str, str]:
    """The versions that must be the same on all nodes; of Python's, the first two numbers."""
    import ray

    import fpray

    return {"fpray": fpray.__version__, "Ray": ray.__version__, "Python": ".".join(platform.python_version_tuple()[:2])}


def check_node(expected: Expected, node: str) -> list[str]:
    """Everything that is wrong with this node, a part of a sentence each.

    Args:
        node: the name of the file that is to show that this node can write.
    """
    return list(_problems(expected, node))


def _problems(expected: Expected, node: str) -> Iterator[str]:
    for what, found in versions_here().items():
        if found != expected.versions[what]:
            yield f"has {what} {found} and the command {expected.versions[what]}; install the same on all nodes"
            return  # the rest may not even be understood
    yield from _storage(expected.storage, node)
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if free < DISK:
        yield f"has {free / 1e9:.1f} GB free in {tempfile.gettempdir()}; make room there, at least {DISK / 1e9:g} GB"
    try:
        settings = expected.settings.unpacked()
        dataset = open_dataset(settings.data)
        for each in with_those_beside(dataset):
            each.splits()
        loaded = [open_model(model.name, model.pretrained) for model in expected.models]
        for own in loaded:
            for name, space in expected.spaces.items():
                METHODS[name].check(own, space, dataset.classes)
    except UserError as error:
        yield str(error)
        return
    if settings.resources.gpus:
        yield from _gpu()
    replaying = any(METHODS[name].replays(space) for name, space in expected.spaces.items())
    yield from _shared_memory(settings, loaded, replaying=replaying)


def _storage(folder: UPath, node: str) -> Iterator[str]:
    """Whether this node, with its own credentials, sees the folder that the command sees, and can write there."""
    try:
        read_whole(folder / "command")
    except FileNotFoundError:
        yield (
            f"doesn't see the storage folder '{folder.parent}' that the command sees; name one that all nodes share, "
            "on a network file system at the same path or in a bucket"
        )
        return
    except StorageError as error:
        yield f"{error}; give this node the credentials, too"
        return
    try:
        write_whole(folder / node, b"")
    except StorageError as error:
        yield f"{error}; let this node write there, too"


def _gpu() -> Iterator[str]:
    """Whether PyTorch can use the node's GPU with its driver."""
    import os

    import torch

    os.environ.pop("CUDA_VISIBLE_DEVICES", None)  # Ray hides GPUs from a task that asks for none
    try:
        torch.zeros(1, device="cuda")
    except Exception as error:  # of several kinds: no driver, one that is too old, a wheel without CUDA
        yield f"can't use its GPU: {message_of(error)}; mend its driver, or install a PyTorch that fits it"


def _shared_memory(settings: TrialSettings, models: Sequence[LoadedClip], *, replaying: bool) -> Iterator[str]:
    """Whether /dev/shm holds the batches that loader processes have ready: PyTorch keeps two of each."""
    resources, batch_size = settings.resources, settings.train.batch_size
    if not resources.loaders or batch_size == "auto" or not SHARED_MEMORY.exists():
        return
    pixels = max(height * width for height, width in (model.image_size for model in models))
    if replaying and settings.data.rehearsal is not None:
        batch_size += settings.data.rehearsal.batch_size or batch_size
    needed = 2 * resources.loaders * (batch_size // resources.workers) * 3 * pixels * 4
    free = shutil.disk_usage(SHARED_MEMORY).free
    if free < needed:
        yield (
            f"has {free / 1e9:.1f} GB free in /dev/shm, and a trial's {resources.loaders} loader processes need "
            f"{needed / 1e9:.1f}; start its container with a larger --shm-size, or lower resources.loader_workers"
        )
