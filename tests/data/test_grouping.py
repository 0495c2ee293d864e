"""Groups: images that belong together are set aside together, in a layout that shares images out itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from fpray.errors import UserError
from tests.data.layouts.test_domains import by_path, opened


def test_images_of_a_group_are_set_aside_together(tree: Path, section: dict[str, Any]) -> None:
    files = [str(file.relative_to(tree)) for file in sorted(tree.rglob("*.png"))]
    camera = {path: str(number % 12) for number, path in enumerate(files)}
    (tree / "cameras.csv").write_text("".join(f'"{path}",{group}\n' for path, group in camera.items()))
    dataset = opened(section, groups=str(tree / "cameras.csv"), id_val=0.3, id_test=0.3, ood_val=0.4)
    seen: dict[tuple[str, str], set[str]] = {}
    for split in dataset.splits():
        for path in by_path(dataset, split.name):
            seen.setdefault((path.split("/")[0], camera[path]), set()).add(split.name)
    assert all(len(splits) == 1 for splits in seen.values())
    assert {name for splits in seen.values() for name in splits} == {split.name for split in dataset.splits()}
    other = opened(section, groups=str(tree / "cameras.csv"), id_val=0.3, id_test=0.3, ood_val=0.4, seeds=9)
    assert by_path(other, "id/train") != by_path(dataset, "id/train")


def test_a_pattern_names_the_group(section: dict[str, Any]) -> None:
    last_digit = r"(\d)\.png$"
    dataset = opened(section, groups=last_digit, id_val=0.3, id_test=0.3, ood_val=0.4)
    train, val, test = (
        {match[1] for path in by_path(dataset, f"id/{part}") if (match := re.search(last_digit, path))}
        for part in ("train", "val", "test")
    )
    assert train and val and test
    assert not train & val and not val & test and not train & test


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ("seq_(", "data.groups: 'seq_(' is no regular expression"),
        ("seq_[0-9]+", "data.groups: 'seq_[0-9]+' is nowhere in 'photo/alarm_clock/"),
        ("nowhere.csv", "data.groups: can't read '"),
    ],
)
def test_groups_that_say_nothing_are_refused(groups: str, said: str, section: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        opened(section, groups=groups).splits()
