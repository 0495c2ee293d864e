"""The room for weights: what it will take, held against what weights really take, and against what is free."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from upath import UPath

from fpray.records import SweepFolder, kept_bytes
from fpray.results import Results
from fpray.sweep.disk import lack_of_room, weights_line
from fpray.sweep.preflight import preflight
from tests.finished import finished, pictures
from tests.sweeps import sweep_of

__all__ = ["finished", "pictures"]


class Usage(NamedTuple):
    """As `shutil.disk_usage` has it."""

    free: int


def test_what_it_says_is_what_weights_take(finished: Results) -> None:
    weights = preflight(finished.sweep, ["hot_dog", "pie", "rose"])
    kept = kept_bytes(SweepFolder(finished.folder).records)
    files = {
        path.parent.name: path.stat().st_size for path in Path(str(finished.folder)).glob("trials/*/*.safetensors")
    }
    assert kept == files and len(kept) == len(finished.records)
    said = float(weights_line(finished.sweep, weights).split()[1])
    assert said == pytest.approx(sum(files.values()) / 1e9, rel=0.15)


def test_it_counts_every_trial_of_every_model() -> None:
    sweep = sweep_of(methods={"full": {"trials": 10}, "wise_ft": {"trials": 5}}, train={"seeds": [0, 1]}, keep="front")
    assert weights_line(sweep, {"drawnet-s": 50_000_000}) == (
        "about 6 GB of weights in 'fpray-results'; in the end those stay that fronts and picks need"
    )
    both = sweep_of(methods={"full": {"trials": 10}}, model={"name": ["drawnet-s", "drawnet-m"]})
    assert weights_line(both, {"drawnet-s": 50_000_000, "drawnet-m": 100_000_000}).startswith("about 6 GB")


def test_a_disk_that_is_too_small_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep, folder, weights = sweep_of(), SweepFolder(UPath(tmp_path)), {"drawnet-s": 50_000_000}
    assert lack_of_room(sweep, folder, weights) is None
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(free=300_000_000))
    said = str(lack_of_room(sweep, folder, weights))
    assert said.startswith(f"the trials' weights will take about 0.4 GB more, and '{tmp_path}' has 0.3 GB free")
    there = tmp_path / "trials" / "full-000"
    there.mkdir(parents=True)
    with (there / "weights.safetensors").open("wb") as file:
        file.truncate(200_000_000)
    assert lack_of_room(sweep, folder, weights) is None
