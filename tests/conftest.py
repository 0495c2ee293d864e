"""What the tests share: a tiny CLIP with random weights, a tiny dataset, and the reference made of both."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
import torch
from open_clip.model import CLIP
from PIL import Image
from safetensors.torch import save_file

from fpray.data.base import Dataset, LabelledImages, Options, Split
from fpray.records import Record, Trial
from fpray.reference import Reference, load_reference
from fpray.runtime import Runtime
from fpray.space import Params

# Tiny layers gain nothing from threads, and sums in one order are the same to the bit.
torch.set_num_threads(1)

TINY: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1},
}
COLOURS = {"red square": (220, 40, 40), "green square": (40, 200, 60), "blue square": (50, 60, 220)}
NOBODY = 65534
SIZES = {
    Split("id", "plain", "train"): 48,
    Split("id", "plain", "val"): 18,
    Split("id", "plain", "test"): 21,
    Split("ood", "dark", "val"): 9,
    Split("ood", "dark", "test"): 12,
    Split("ood", "washed", "val"): 10,
    Split("ood", "washed", "test"): 11,
}


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's right to read everything, where the tests run as root."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


class Evil:
    """A pickle of it makes a file where it is unpickled."""

    def __init__(self, trap: Path) -> None:
        self.trap = trap

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return open, (str(self.trap), "w")


class SquareImages(LabelledImages):
    def __init__(self, pixels: np.ndarray, labels: list[int]) -> None:
        self.pixels, self.labels = pixels, labels

    def __getitem__(self, index: int) -> Image.Image:
        return Image.fromarray(self.pixels[index])


class Squares(Dataset):
    """Coloured squares on noise; out of distribution they are dark or washed out."""

    name = "squares"
    classes: Sequence[str] = tuple(COLOURS)
    templates: Sequence[str] = ("a {}.", "a photo of a {}.")

    def __init__(self) -> None:
        super().__init__(Options(layout="squares"))
        self.drawn = {split: self._draw(split, size) for split, size in SIZES.items()}

    def splits(self) -> Sequence[Split]:
        return tuple(SIZES)

    def images(self, split: Split) -> SquareImages:
        return self.drawn[split]

    def _draw(self, split: Split, size: int) -> SquareImages:
        rng = np.random.default_rng(crc32(split.name.encode()))
        labels = [i % len(COLOURS) for i in range(size)]
        pixels = rng.integers(60, 180, (size, 32, 32, 3)).astype(float)
        for image, label in zip(pixels, labels, strict=True):
            x, y = rng.integers(0, 8, 2)
            image[y : y + 24, x : x + 24] = list(COLOURS.values())[label]
        scaled = {"plain": pixels, "dark": 0.4 * pixels, "washed": 128 + 0.5 * (pixels - 128)}[split.domain]
        return SquareImages(scaled.clip(0, 255).astype(np.uint8), labels)


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FPRAY_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everyone may enter, unlike `tmp_path`."""
    mask = os.umask(0o022)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
    os.umask(mask)


def make_tiny_clip(folder: Path) -> str:
    """Write a CLIP with random weights into a folder; returns its model name."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = CLIP(**TINY)
    with torch.no_grad():
        model.logit_scale.fill_(np.log(20))
    save_file(
        {key: value.contiguous() for key, value in model.state_dict().items()}, folder / "open_clip_model.safetensors"
    )
    config = {"model_cfg": TINY, "preprocess_cfg": {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return f"local-dir:{folder}"


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The model name of a CLIP with random weights."""
    return make_tiny_clip(tmp_path_factory.mktemp("tiny-clip"))


@pytest.fixture(scope="session")
def squares() -> Squares:
    return Squares()


@pytest.fixture(scope="session")
def reference(tiny_clip: str, squares: Squares) -> Reference:
    """Shared by all tests, as it is by all trials in a process: nothing may change it."""
    return load_reference(tiny_clip, None, squares, torch.device("cpu"))


@pytest.fixture(scope="session")
def alone() -> Runtime:
    """One process on the CPU."""
    return Runtime(torch.device("cpu"))


@pytest.fixture(scope="session")
def pixels(reference: Reference, squares: Squares) -> torch.Tensor:
    """The preprocessed images of id/val, [18, 3, 32, 32]."""
    images = squares.images(Split("id", "plain", "val"))
    return torch.stack([reference.loaded.preprocess(images[i]) for i in range(len(images))])


@pytest.fixture(scope="session")
def labels(squares: Squares) -> torch.Tensor:
    """The labels of `pixels`."""
    return torch.tensor(squares.images(Split("id", "plain", "val")).labels)


@pytest.fixture
def record_of() -> Callable[..., Record]:
    """Makes records: of a trial's id, its hyperparameters, and any field of `Record`."""

    def make(trial_id: str = "full-000", params: Params | None = None, seed: int = 0, **fields: Any) -> Record:
        method, number = trial_id.split("-")[:2]
        trial = Trial(id=trial_id, method=method, number=int(number), seed=seed, params=params or {"lr": 1e-5})
        return Record(trial=trial, **{"started": 1.5} | fields)

    return make


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """The file that is there once anything has run."""
    return tmp_path / "executed"
