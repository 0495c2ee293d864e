"""Retention: folders of other classes beside a sweep's data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from fpray.config.file import check_sweep
from fpray.config.schema import Sweep
from fpray.data import fingerprints, open_dataset, quick_check, retained
from fpray.data.base import Split
from fpray.errors import UserError


def folder_of(root: Path, *classes: str, images: int = 2) -> Path:
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for n in range(images):
            Image.new("RGB", (8, 8), (40 * number, 20 * n, 0)).save(root / name / f"{n}.png")
    return root


def sweep_of(*folders: Path | str) -> Sweep:
    return check_sweep({"name": "s", "data": {"train_images": 8, "retention": [str(f) for f in folders]}}, "s")


def test_every_image_of_every_folder_is_test(tmp_path: Path) -> None:
    food, flowers = folder_of(tmp_path / "food", "hot_dog", "pie"), folder_of(tmp_path / "flowers", "rose", "iris")
    dataset = open_dataset(sweep_of(food, flowers).data)
    first, second = retained(dataset)
    split = Split("retention", "food", "test")
    assert split.name == "retention/food/test"
    assert (first.splits(), second.splits()[0].name) == ((split,), "retention/flowers/test")
    assert first.classes == ["hot dog", "pie"] and first.templates == dataset.templates
    assert list(first.images(split).labels) == [0, 0, 1, 1]
    assert {"retention/food/test", "retention/flowers/test"} < fingerprints(dataset).keys()


def test_a_single_folder_may_stand_alone(tmp_path: Path) -> None:
    sweep = check_sweep({"name": "s", "data": {"retention": str(tmp_path)}}, "s")
    assert sweep.data.retention == (str(tmp_path),)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda _: None, "there is no such folder"),
        (lambda root: folder_of(root, "one"), "has 1 class folders; it needs two or more"),
        (lambda root: folder_of(root, "one", "two", images=0), "has no images"),
    ],
)
def test_a_wrong_folder_is_told_before_a_sweep(tmp_path: Path, make: Callable[[Path], object], said: str) -> None:
    make(tmp_path / "food")
    with pytest.raises(UserError, match=f"data.retention: .*{said}"):
        quick_check(open_dataset(sweep_of(tmp_path / "food").data), 1)


def test_a_broken_image_of_few_is_told_before_a_sweep(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "food", "hot_dog", "pie")
    (folder / "pie" / "0.png").write_text("no image")
    with pytest.raises(UserError, match="retention/food/test|food/.*0.png|pie/0.png"):
        quick_check(open_dataset(sweep_of(folder).data), 1)


def test_two_folders_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="data.retention: two folders are called 'food'"):
        sweep_of(tmp_path / "a" / "food", tmp_path / "b" / "food")
