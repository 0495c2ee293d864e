"""A sweep's identity: it stays with its folder, and a copy is told from a move."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from upath import UPath

from fpray.errors import UserError
from fpray.records.folder import SweepFolder
from fpray.records.identity import identify, renew


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A sweep's folder that has its identity."""
    folder = tmp_path / "home" / "own"
    identify(SweepFolder(UPath(folder)))
    return folder


def found(folder: Path) -> tuple[str, str | None]:
    identity, copied_from = identify(SweepFolder(UPath(folder)))
    assert identity.home == str(folder)
    return identity.id, copied_from


def test_each_new_folder_has_an_id_of_its_own_and_keeps_it(home: Path, tmp_path: Path) -> None:
    first, _ = found(home)
    assert found(home) == (first, None)
    assert found(tmp_path / "other" / "own")[0] != first
    assert len(first) == 32


def test_a_folder_that_an_earlier_version_began_has_its_address(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text("name: own")
    assert found(tmp_path) == (str(tmp_path), None)


def test_a_moved_folder_is_the_same(home: Path, tmp_path: Path) -> None:
    first, _ = found(home)
    home.parent.rename(tmp_path / "moved")
    assert found(tmp_path / "moved" / "own") == (first, None)
    assert found(tmp_path / "moved" / "own") == (first, None)


def test_one_folder_at_two_places_is_the_same(home: Path, tmp_path: Path) -> None:
    first, _ = found(home)
    (tmp_path / "elsewhere").symlink_to(home.parent)
    assert found(tmp_path / "elsewhere" / "own") == (first, None)
    assert found(home) == (first, None)


def test_a_copy_is_told_while_the_original_stands(home: Path, tmp_path: Path) -> None:
    first, _ = found(home)
    copy = tmp_path / "copy" / "own"
    shutil.copytree(home, copy)
    assert found(copy) == (first, str(home))
    renewed = renew(SweepFolder(UPath(copy)))
    assert found(copy) == (renewed.id, None)
    assert found(home) == (first, None)
    assert renewed.id != first


def test_a_damaged_file_is_a_sentence(home: Path) -> None:
    (home / "identity.json").write_text("{")
    with pytest.raises(UserError, match=r"identity\.json' is damaged"):
        found(home)
