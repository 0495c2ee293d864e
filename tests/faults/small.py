"""A small sweep to which faults happen, and what two runs of it have in common."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from fpray.records.record import Record

# Ray's workers import `tests.faults.faulty`, whose trials they run.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")]))

SMALL: dict[str, Any] = {
    "name": "small",
    "data": {"train_images": 80},
    "train": {
        "epochs": 3,
        "batch_size": 40,
        "lr": {"log": [1e-4, 1e-3]},
        "warmup_steps": 2,
        "checkpoint_seconds": 0,
        "alphas": 0,
    },
}
STEPS, EVALUATED = 2, 9
"""An epoch's signs of life: of its steps, and of the batches that are evaluated after them."""


def in_epoch(number: int) -> int:
    """The sign of life at which a trial takes the last step of its `number`th epoch."""
    return (number - 1) * (STEPS + EVALUATED) + STEPS


def outcomes(records: Iterable[Record]) -> dict[str, object]:
    """All that must be the same whatever happened to the trials."""
    return {
        r.trial.id: (r.status, r.trial, r.results, r.movement, [(e.epoch, e.losses, e.validation) for e in r.history])
        for r in records
    }


def write_sweep(folder: Path, model: str, **sections: Any) -> Path:
    """Write a small sweep's file into its own storage folder."""
    file = folder / "sweep.yaml"
    file.write_text(yaml.safe_dump(SMALL | {"model": {"name": model}, "storage": str(folder)} | sections))
    return file
