"""Settling a sweep into its folder: what fits the trials there is welcome, what doesn't is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from upath import UPath

from fpray.config.file import read_sweep
from fpray.data import fingerprints_of_draws
from fpray.errors import UserError
from fpray.model.names import Model
from fpray.records.folder import SweepFolder
from fpray.records.record import Record
from fpray.sweep.settling import Start, require_same_data, settled_before
from tests.sweeps import settled, sweep_of


@pytest.fixture
def folder(tmp_path: Path) -> SweepFolder:
    """A sweep's folder with a trial in it."""
    folder = SweepFolder(UPath(tmp_path / "s"))
    (folder.path / "trials" / "full-000").mkdir(parents=True)
    settled(sweep_of(), folder)
    return folder


def test_the_resolved_file_reads_back(folder: SweepFolder) -> None:
    assert read_sweep(Path(folder.sweep_file)) == sweep_of()


def test_versions_and_commit_stand_in_the_file(folder: SweepFolder) -> None:
    first = folder.sweep_file.read_text().splitlines()[0]
    assert all(word in first for word in ("fpray", "torch", "optuna", "commit"))


def test_more_trials_and_other_ranges_are_welcome(folder: SweepFolder) -> None:
    settled(sweep_of(methods={"full": {"trials": 9}, "l2": None}, train={"lr": {"log": [1e-6, 1e-5]}}), folder)


def test_other_ways_to_compute_the_same_step_are_welcome(folder: SweepFolder) -> None:
    settled(sweep_of(train={"accumulate": 4, "gradient_checkpointing": True, "compile": True}), folder)


def test_what_auto_stood_for_in_the_trials_there_is_known(folder: SweepFolder, tmp_path: Path) -> None:
    assert settled_before(folder) == {"batch_size": 512}
    settled(sweep_of(train={"compile": False}), folder)
    assert settled_before(folder) == {"batch_size": 512, "compile": False}
    assert settled_before(SweepFolder(UPath(tmp_path / "new"))) == {}
    folder.sweep_file.write_text("train: {batch_size: auto}")
    with pytest.raises(UserError, match="is damaged"):
        settled_before(folder)


def test_changed_training_is_refused_with_the_differences(folder: SweepFolder) -> None:
    with pytest.raises(UserError, match=r"train\.epochs was 10, is 3; train\.weight_decay was 0\.1, is 0\.0"):
        settled(sweep_of(train={"epochs": 3, "weight_decay": 0}), folder)
    with pytest.raises(UserError, match=r"data\.seeds was \[0\], is \[1\]"):
        settled(sweep_of(data={"seeds": 1}), folder)
    assert read_sweep(Path(folder.sweep_file)) == sweep_of()


def test_changed_augmentation_is_refused_as_other_training_is(folder: SweepFolder) -> None:
    with pytest.raises(
        UserError, match=r"train\.augment\.flip was 0\.0, is 0\.5; train\.augment\.mixup was 0\.0, is 0"
    ):
        settled(sweep_of(train={"augment": {"flip": 0.5, "mixup": 0.2}}), folder)
    with pytest.raises(UserError, match=r"train\.augment\.randaugment was None, is \{'ops': 2, 'magnitude': 9\}"):
        settled(sweep_of(train={"augment": {"randaugment": {}}}), folder)


def test_a_file_of_before_there_was_augmentation_has_its_default(folder: SweepFolder) -> None:
    written = yaml.safe_load(folder.sweep_file.read_text())
    del written["train"]["augment"]
    folder.sweep_file.write_text(yaml.safe_dump(written))
    assert settled(sweep_of(train={"augment": {"scale": [0.9, 1]}}), folder) == Start(1)
    assert read_sweep(Path(folder.sweep_file)) == sweep_of()
    folder.sweep_file.write_text(yaml.safe_dump(written))
    with pytest.raises(UserError, match=r"other settings: train\.augment\.label_smoothing was 0\.0, is 0\.1\. Change"):
        settled(sweep_of(train={"augment": {"label_smoothing": 0.1}}), folder)


def test_without_trials_anything_may_change(folder: SweepFolder) -> None:
    (folder.path / "trials" / "full-000").rmdir()
    (folder.path / "trials").rmdir()
    settled(sweep_of(train={"epochs": 3}), folder)


def recorded(folder: SweepFolder, make: Callable[..., Record], *trials: tuple[str, str | None]) -> SweepFolder:
    """The folder with trials of some ids and models."""
    for trial_id, name in trials:
        trial = make("full-000").trial.model_copy(update={"id": trial_id, "model": name and Model(name=name)})
        folder.records.write(make("full-000").model_copy(update={"trial": trial}))
    return folder


Names = str | list[str] | dict[str, list[str]]


@pytest.mark.parametrize(
    ("trials", "was", "becomes"),
    [
        ([("full-000", "A")], "A", ["A", "B"]),
        ([("full-000", "A")], "A", ["A"]),
        ([("full-A-000", "A"), ("full-B-000", "B")], ["A", "B"], ["C", "B", "A"]),
        ([("full-A-000", "A"), ("full-B-000", "B")], ["A", "B"], ["B", "C"]),
        ([("full-A-000", "A"), ("full-B-000", "B")], ["A", "B"], "B"),
        ([("full-000", "A")], {"choice": ["A", "B"]}, {"choice": ["A", "B", "C"]}),
        ([("full-000", "A")], {"choice": ["A", "B"]}, {"choice": ["A", "C"]}),
    ],
)
def test_models_may_be_added_and_left_out(
    tmp_path: Path, record_of: Callable[..., Record], trials: list[tuple[str, str]], was: Names, becomes: Names
) -> None:
    folder = SweepFolder(UPath(tmp_path))
    settled(sweep_of(model={"name": was}), folder)
    settled(sweep_of(model={"name": becomes}), recorded(folder, record_of, *trials))
    assert read_sweep(Path(folder.sweep_file)) == sweep_of(model={"name": becomes})


@pytest.mark.parametrize(
    ("trials", "was", "becomes"),
    [
        ([("full-000", "A")], "A", "B"),
        ([("full-000", "A")], "A", ["B", "C"]),
        ([("full-000", None)], ["A", "B"], "B"),
        ([("full-000", "A"), ("full-B-000", "B")], ["A", "B"], "B"),
        ([("full-A-000", "x/A"), ("full-B-000", "B")], ["x/A", "B"], ["y/A", "B"]),
        ([("full-000", "B")], {"choice": ["A", "B"]}, {"choice": ["A", "C"]}),
        ([("full-000", "A")], "A", {"choice": ["A", "B"]}),
        ([("full-A-000", "A")], ["A", "B"], {"choice": ["A", "B"]}),
    ],
)
def test_models_that_would_make_the_records_wrong_are_refused(
    tmp_path: Path, record_of: Callable[..., Record], trials: list[tuple[str, str]], was: Names, becomes: Names
) -> None:
    folder = SweepFolder(UPath(tmp_path))
    settled(sweep_of(model={"name": was}), folder)
    with pytest.raises(UserError, match=r"has trials with other settings: model\.name"):
        settled(sweep_of(model={"name": becomes}), recorded(folder, record_of, *trials))
    assert read_sweep(Path(folder.sweep_file)) == sweep_of(model={"name": was})


def test_other_weights_are_another_model(tmp_path: Path, record_of: Callable[..., Record]) -> None:
    folder = SweepFolder(UPath(tmp_path))
    settled(sweep_of(model={"name": "A", "pretrained": "openai"}), folder)
    with pytest.raises(UserError, match=r"model\.pretrained was openai, is laion2b"):
        settled(sweep_of(model={"name": "A", "pretrained": "laion2b"}), recorded(folder, record_of, ("full-000", "A")))


def test_a_damaged_old_file_is_a_sentence(folder: SweepFolder) -> None:
    folder.sweep_file.write_text("{")
    with pytest.raises(UserError, match="is damaged"):
        settled(sweep_of(), folder)


def test_trials_on_an_earlier_drawnet_are_not_extended(folder: SweepFolder, record_of: Callable[..., Record]) -> None:
    now = fingerprints_of_draws(sweep_of().data)
    require_same_data({name: own.model_copy(update={"stage": 1}) for name, own in now.items()}, folder, [])
    with pytest.raises(UserError, match=r"has trials on the DrawNet of an earlier fpray, .* another name"):
        require_same_data(now, folder, [record_of()])
    assert {own.stage for own in now.values()} == {2}


def test_each_draw_has_a_fingerprint(folder: SweepFolder, record_of: Callable[..., Record]) -> None:
    both = fingerprints_of_draws(sweep_of(data={"seeds": [0, 7]}).data)
    assert "id/train of seed 0" in both and "ood/sketch/test of seed 7" in both
    assert both["id/val of seed 0"].labels != both["id/val of seed 7"].labels
    require_same_data(both, folder, [])
    require_same_data(both, folder, [record_of()])
