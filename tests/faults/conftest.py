"""What the fault tests share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fpray.config import Sweep
from fpray.records import Record
from fpray.sweepfile import check_sweep

# Ray's workers import `faulty`, whose trials they run.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")]))

SMALL: dict[str, Any] = {
    "name": "small",
    "data": {"train_images": 80},
    "train": {"epochs": 3, "batch_size": 40, "lr": {"log": [1e-4, 1e-3]}, "warmup_steps": 2},
}


@pytest.fixture
def sweep_of(tiny_clip: str) -> Callable[..., Sweep]:
    """Makes small sweeps: of a storage folder, and of sections that differ."""

    def make(storage: Path, **sections: Any) -> Sweep:
        return check_sweep(SMALL | {"model": {"name": tiny_clip}, "storage": str(storage)} | sections, "small")

    return make


def outcomes(records: list[Record]) -> dict[str, object]:
    """What two runs of one sweep have in common, whatever happened to them."""
    return {
        r.trial.id: (r.status, r.trial, r.results, r.movement, [(e.epoch, e.losses, e.validation) for e in r.history])
        for r in records
    }
