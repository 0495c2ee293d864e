"""What `auto` stands for: found out once, before any trial, and kept."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from upath import UPath

from fpray import execution
from fpray.config.schema import Sweep
from fpray.records import Record, SweepFolder, Trial
from fpray.sweep import beginning
from fpray.sweep.leaving import Leaving
from tests.sweeps import settled, sweep_of

GPU = {"resources": {"gpus": 1}}


class Connected(Leaving):
    @contextlib.contextmanager
    def connected(self, *_: Any, **__: Any) -> Iterator[None]:
        yield


def without_auto(sweep: Sweep, folder: Path) -> tuple[Sweep, bool]:
    return beginning._without_auto(sweep, SweepFolder(UPath(folder)), None, Connected(lambda: None))


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was tried on a GPU that is not there."""
    found: list[str] = []

    def answer(name: str, value: int | bool) -> None:
        monkeypatch.setattr(execution, name, lambda sweep, on_wait: (found.append(name), value)[1], raising=False)

    monkeypatch.setattr(execution, "Cluster", lambda sweep, own: contextlib.nullcontext(), raising=False)
    monkeypatch.setattr(beginning, "_check", lambda sweep, folder: None)
    answer("batch_size_that_fits", 64)
    answer("compiling_pays", True)
    return found


def test_without_a_gpu_nothing_compiles_and_nothing_is_tried(tmp_path: Path, tried: list[str]) -> None:
    sweep, checked = without_auto(sweep_of(), tmp_path)
    assert (sweep.train.compile, sweep.train.compiles, checked, tried) == (False, False, False, [])
    assert without_auto(sweep_of(train={"compile": True}), tmp_path)[0].train.compiles


def test_on_a_gpu_both_are_tried_and_told(tmp_path: Path, tried: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    sweep, checked = without_auto(sweep_of(**GPU, train={"batch_size": "auto"}), tmp_path)
    assert (sweep.train.batch_size, sweep.train.compile, checked) == (64, True, True)
    assert tried == ["batch_size_that_fits", "compiling_pays"]
    said = capsys.readouterr().out
    assert "trying on a GPU what train.batch_size and train.compile should be" in said
    assert "train.batch_size: 64 is the largest that fits" in said
    assert "train.compile: on, since a trial takes ten minutes or more without it" in said


def test_what_is_given_is_not_tried(tmp_path: Path, tried: list[str]) -> None:
    sweep, checked = without_auto(sweep_of(**GPU, train={"compile": False}), tmp_path)
    assert (sweep.train.compile, checked, tried) == (False, False, [])


def test_trials_that_are_there_have_decided(tmp_path: Path, tried: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def untried(sweep: Sweep) -> NoReturn:
        raise AssertionError("nothing is to be tried")

    folder = SweepFolder(UPath(tmp_path))
    first, _ = without_auto(sweep_of(**GPU, train={"batch_size": "auto"}), tmp_path)
    settled(first, folder)
    trial = Trial(id="full-000", method="full", number=0, seed=0, params={"lr": 1e-4})
    folder.records.write(Record(trial=trial, started=1.0))
    monkeypatch.setattr(beginning, "_check", untried)
    assert without_auto(sweep_of(**GPU, train={"batch_size": "auto"}), tmp_path) == (first, False)
