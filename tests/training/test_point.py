"""A point of a curve on the test images: what a WiSE-FT trial of the same weights and alpha gives there."""

from __future__ import annotations

import numpy as np
import pytest
from upath import UPath

from fpray.errors import UserError
from fpray.records import Record, SupersededError, SweepFolder, Trial
from fpray.training.point import evaluate_point
from fpray.training.runtime import Runtime
from fpray.training.trial import run_trial
from tests.sweeps import sweep_of

SWEEP = {
    "data": {"train_images": 80},
    "train": {"epochs": 1, "batch_size": 40, "lr": 1e-3, "alphas": 3},
    "methods": {"full": {"trials": 1}, "wise_ft": {"trials": 1}},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_clip: str, alone: Runtime) -> SweepFolder:
    """A trial of full fine-tuning, and one of WiSE-FT half the way to it."""
    folder, sweep = SweepFolder(UPath(tmp_path_factory.mktemp("sweep"))), sweep_of(**SWEEP, model={"name": tiny_clip})
    shared = {"seed": 0, "number": 0, "model": sweep.model.each()[0]}
    full = Trial(id="full-000", method="full", params={"lr": 1e-3}, **shared)
    half = Trial(id="wise_ft-000", method="wise_ft", params={"alpha": 0.5}, sources=(full.id,), **shared)
    for trial in (full, half):
        claimed = folder.records.claim(Record(trial=trial, started=1.0))
        run_trial(claimed, sweep.trial_settings(trial.method), folder, alone)
    return folder


def begun(folder: SweepFolder) -> Record:
    point = folder.records.read("full-000").trial.point(0.5)
    return folder.points.records.claim(Record(trial=point, started=2.0))


def evaluate(record: Record, folder: SweepFolder, alone: Runtime) -> None:
    settings = sweep_of(**SWEEP).trial_settings("full")
    evaluate_point(record, settings, folder.points, alone, trials=folder.records)


def test_it_gives_what_wise_ft_gives(folder: SweepFolder, alone: Runtime) -> None:
    evaluate(begun(folder), folder, alone)
    point, half = folder.points.records.read("full-000-alpha-0.5"), folder.records.read("wise_ft-000")
    assert point.status == "finished" and point.provenance is not None
    assert point.results == {split: count for split, count in half.results.items() if split.endswith("/test")}
    (middle,) = [p for p in folder.records.read("full-000").curve if p.alpha == 0.5]
    assert middle.validation == {split: count for split, count in half.results.items() if split.endswith("/val")}
    left = {path.name for path in folder.points.records.trial_folder(point.trial.id).iterdir()}
    assert left == {"record.json", "images.npz"}
    own, other = folder.points.records.read_images(point.trial.id), folder.records.read_images("wise_ft-000")
    assert own.keys() == {split for split in other if split.endswith("/test")}
    for split, images in own.items():
        assert np.array_equal(images.classes, other[split].classes)
        assert np.array_equal(images.losses, other[split].losses)


def test_an_attempt_of_before_writes_nothing(folder: SweepFolder, alone: Runtime) -> None:
    point = folder.records.read("full-000").trial.point(0.25)
    first = folder.points.records.claim(Record(trial=point, started=2.0))
    folder.points.records.claim(first)
    with pytest.raises(SupersededError):
        evaluate(first, folder, alone)
    assert folder.points.records.read(point.id).results == {}


def test_weights_that_are_gone_are_said(folder: SweepFolder, alone: Runtime) -> None:
    lost = begun(folder).trial.model_copy(update={"id": "full-001-alpha-0.5", "sources": ("full-001",)})
    with pytest.raises(UserError, match=r"full-001/weights.safetensors' is damaged or gone"):
        evaluate(folder.points.records.claim(Record(trial=lost, started=2.0)), folder, alone)
