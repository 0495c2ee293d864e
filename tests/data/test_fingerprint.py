"""Fingerprints: the same data has the same, and what has changed is told."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from fpray.data import open_dataset
from fpray.data.fingerprint import Fingerprint, differences, fingerprints
from fpray.data.layouts.domains import DomainsOptions
from tests.data.trees import domains, picture

Change = Callable[[Path], object]


def found(root: Path) -> dict[str, Fingerprint]:
    return fingerprints(open_dataset(DomainsOptions(layout="domains", root=str(root), id="photo")))


def first_of(folder: Path) -> Path:
    return sorted(folder.iterdir())[0]


def replace(root: Path) -> None:
    file = first_of(root / "sketch" / "dog")
    file.write_bytes(file.read_bytes() + b"more")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda root: picture("x").save(root / "sketch" / "dog" / "x.png"), r"ood/sketch/\w+ had \d+ images, has \d+"),
        (lambda root: first_of(root / "photo" / "dog").unlink(), r"id/\w+ had \d+ images, has \d+"),
        (replace, r"ood/sketch/\w+ has files of other sizes under the same names"),
    ],
)
def test_changed_images_are_told(change: Change, told: str, tmp_path: Path) -> None:
    domains(tmp_path)
    before = found(tmp_path)
    assert differences(before, found(tmp_path)) == []
    change(tmp_path)
    (line,) = differences(before, found(tmp_path))
    assert re.fullmatch(told, line)


def one(**changes: object) -> dict[str, Fingerprint]:
    return {"id/val": Fingerprint.model_validate({"images": 3, "names": "a", "sizes": "b", "labels": "c"} | changes)}


def test_other_names_labels_and_splits_are_told() -> None:
    assert differences(one(), one(names="x", sizes="y")) == ["id/val has as many images, under other names"]
    assert differences(one(), one(labels="x")) == ["id/val has other labels"]
    assert differences(one(), {}) == ["id/val is gone"]
    assert differences({}, one()) == ["id/val is new"]
