"""The first line: which sweep it is, where, and how far; it comes without torch."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from upath import UPath

from fpray.records.folder import SweepFolder
from fpray.records.known import known_storages, remember
from fpray.records.record import Record
from fpray.sweep.header import header
from tests.sweeps import settled, sweep_of

Make = Callable[..., Record]


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FPRAY_STATE", str(tmp_path / "state"))


def test_a_new_sweep(tmp_path: Path) -> None:
    line = header({"name": "own", "storage": str(tmp_path)})
    assert line.endswith(f": sweep own in {tmp_path}/own, which is new; Ctrl-C is safe: the same command goes on")


def test_one_that_has_begun(tmp_path: Path, record_of: Make) -> None:
    store = SweepFolder(UPath(tmp_path / "own")).records
    store.write(record_of("full-000", status="finished"))
    store.write(record_of("full-001", status="failed", error="no"))
    store.write(record_of("full-002"))
    assert ", 2 trials done; " in header({"name": "own", "storage": str(tmp_path)})


def test_the_same_command_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tmp_path / "work" / "fpray-results"
    settled(sweep_of(name="own"), SweepFolder(UPath(before / "own")))
    remember(UPath(before))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    line = header({"name": "own"})
    assert f"in fpray-results/own, which is new (another of that name is in '{before}/own')" in line
    assert "another" not in header({"name": "other"})


def test_what_is_no_storage_is_told_later() -> None:
    assert "sweep own in s3://me:***@b" not in header({"name": "own", "storage": "s3://me:hush@b"})
    assert "hush" not in header({"name": "own", "storage": "s3://me:hush@b"})
    assert header({"name": "own", "storage": "nosuch://x"}).count("; Ctrl-C") == 1
    assert header({"name": ["a"], "storage": 3}).count("; Ctrl-C") == 1


def test_storages_are_kept_in_mind_newest_first(tmp_path: Path) -> None:
    assert known_storages() == []
    for name in ("a", "b", "a"):
        remember(UPath(tmp_path / name))
    assert known_storages() == [str(tmp_path / "a"), str(tmp_path / "b")]
    (tmp_path / "state" / "storages.json").write_text("{")
    assert known_storages() == []


def test_it_needs_no_torch() -> None:
    code = "import sys; from fpray.sweep.header import header; print([m for m in ('torch', 'ray') if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"
