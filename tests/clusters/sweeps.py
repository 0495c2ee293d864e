"""A sweep that lasts long enough for something to happen to it, on storage that all hosts see."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from fpray.testing import make_tiny_clip
from tests.faults.small import SMALL
from tests.sweeps import records_in

EPOCHS = 16


def write_cluster_sweep(shared: Path, **sections: Any) -> Path:
    """Write the file of a sweep of three trials, two of which train, with room for one on each host."""
    (shared / "clip").mkdir()
    content = SMALL | {
        "model": {"name": make_tiny_clip(shared / "clip")},
        "storage": str(shared / "storage"),
        "train": SMALL["train"] | {"epochs": EPOCHS},
        "methods": {"zero_shot": {}, "full": {"trials": 2}},
        "resources": {"cpus": 2},
    }
    file = shared / "my-sweep.yaml"
    file.write_text(yaml.safe_dump(content | sections))
    return file


def epochs_done(shared: Path) -> dict[str, int]:
    """How many epochs each trial that has begun has behind it."""
    if not (shared / "storage/small/trials").exists():
        return {}
    return {name: len(record.history) for name, record in records_in(shared / "storage/small").items()}


def assert_complete(shared: Path) -> None:
    """Every trial has finished, with each of its epochs once."""
    records = records_in(shared / "storage/small")
    assert {name: record.status for name, record in records.items()} == dict.fromkeys(
        ("full-000", "full-001", "zero_shot-000"), "finished"
    )
    for name in ("full-000", "full-001"):
        assert [epoch.epoch for epoch in records[name].history] == list(range(1, EPOCHS + 1))
    assert (shared / "storage/small/report/report.json").exists()
