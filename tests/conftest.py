"""Fixtures of many tests: the small data of `fpray.testing`, records, folders."""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from fpray.data import DATASETS, Dataset, Split
from fpray.methods import METHODS
from fpray.model import Reference
from fpray.records import Record, Trial
from fpray.space import Params
from fpray.testing import make_tiny_clip, small_reference
from fpray.training import Runtime

pytest_plugins = ["pytester", "tests.no_skips"]

# Ray starts trials at a low priority: beside other tests they would take minutes.
os.environ.setdefault("RAY_worker_niceness", "0")
# The first Ray that a process starts has all later ones want a token. Every one does, whatever ran before, and not the
# user's own.
os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}

# Tiny layers gain nothing from threads, and sums in one order are the same to the bit.
torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FPRAY_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("FPRAY_STATE", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everyone may enter, unlike `tmp_path`."""
    mask = os.umask(0o022)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
    os.umask(mask)


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The model name of a CLIP with random weights."""
    return make_tiny_clip(tmp_path_factory.mktemp("tiny-clip"))


@pytest.fixture(scope="session")
def reference() -> Reference:
    """Shared by all tests, as it is by all trials in a process: nothing may change it."""
    return small_reference()


@pytest.fixture(scope="session")
def squares(reference: Reference) -> Dataset:
    """The reference's dataset."""
    return reference.dataset


@pytest.fixture(scope="session")
def alone() -> Runtime:
    """One process on the CPU."""
    return Runtime(torch.device("cpu"))


@pytest.fixture(scope="session")
def pixels(reference: Reference, squares: Dataset) -> torch.Tensor:
    """The preprocessed images of id/val, [18, 3, 32, 32]."""
    images = squares.images(Split("id", "plain", "val"))
    return torch.stack([reference.loaded.preprocess(images[i]) for i in range(len(images))])


@pytest.fixture(scope="session")
def labels(squares: Dataset) -> torch.Tensor:
    """The labels of `pixels`."""
    return torch.tensor(squares.images(Split("id", "plain", "val")).labels)


@pytest.fixture
def record_of() -> Callable[..., Record]:
    """Makes records: of a trial's id, its hyperparameters, and any field of `Record`."""

    def make(
        trial_id: str = "full-000", params: Params | None = None, seed: int = 0, draw: int = 0, **fields: Any
    ) -> Record:
        method, number = trial_id.split("-")[:2]
        trial = Trial(
            id=trial_id, method=method, number=int(number), seed=seed, draw=draw, params=params or {"lr": 1e-5}
        )
        return Record(trial=trial, **{"started": 1.5} | fields)

    return make


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """The file that is there once anything has run."""
    return tmp_path / "executed"


@pytest.fixture
def plugins_go() -> Iterator[None]:
    """Methods and layouts of plug-ins that a test loads are gone after it."""
    with METHODS.restored(), DATASETS.restored():
        yield
    for name in [name for name in sys.modules if name.startswith("fpray_plugin_")]:
        del sys.modules[name]
