"""A small sweep that has finished, on images in folders, with a tiny CLIP."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from upath import UPath

from fpray.config.file import check_sweep
from fpray.records import SweepFolder
from fpray.results import Results
from tests.sweeps import run_here

CLASSES = ("hot_dog", "pie", "rose")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two domains of three classes, each class with a colour of its own."""
    root, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for domain in ("photo", "sketch"):
        for label, name in enumerate(CLASSES):
            (root / domain / name).mkdir(parents=True)
            for number in range(40):
                pixels = rng.integers(0, 120, (24, 24, 3), np.uint8)
                pixels[..., label] += 100
                Image.fromarray(pixels).save(root / domain / name / f"{number:03d}.png")
    return root


@pytest.fixture(scope="session")
def finished(pictures: Path, tiny_clip: str, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """The sweep's results: zero-shot, full fine-tuning twice, LoRA, and WiSE-FT of full fine-tuning."""
    shares = {"id_val": 0.3, "ood_val": 0.4}
    content = {
        "name": "small",
        "data": {"layout": "domains", "root": str(pictures), "id": "photo", "templates": ["a {}."]} | shares,
        "model": {"name": tiny_clip},
        "train": {"epochs": 3, "batch_size": 16, "lr": {"log": [1e-3, 1e-2]}, "alphas": 3},
        "methods": {
            "zero_shot": None,
            "full": {"trials": 2},
            "lora": {"trials": 1, "lr": 3e-3, "rank": 4},
            "wise_ft": {"trials": 1, "alpha": 0.4},
        },
        "storage": str(tmp_path_factory.mktemp("results")),
    }
    sweep = check_sweep(content, "small")
    run_here(sweep)
    return Results(SweepFolder(UPath(sweep.storage) / sweep.name))
