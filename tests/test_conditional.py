"""Conditional writes where a store has none: with looks. Object storage's are in tests/faults."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from upath import UPath

from fpray.conditional import ChangedError, Version, keeps_conditions, read_versioned, write_if
from fpray.storage import StorageError


@pytest.fixture(params=["local", "memory"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> UPath:
    return UPath({"local": str(tmp_path), "memory": f"memory://{tmp_path.name}"}[request.param]) / "folder" / "file"


def test_a_file_is_written_as_long_as_it_is_as_it_was(file: UPath) -> None:
    nothing = read_versioned(file)
    assert nothing == Version(None)
    first = write_if(file, b"first", nothing)
    assert first == read_versioned(file)
    second = write_if(file, b"second", first)
    for old in (nothing, first):
        with pytest.raises(ChangedError):
            write_if(file, b"third", old)
    assert (file.read_bytes(), second) == (b"second", read_versioned(file))
    file.unlink()
    with pytest.raises(ChangedError):
        write_if(file, b"third", second)
    assert not file.exists()
    assert [path.name for path in file.parent.iterdir()] == []


def test_what_was_removed_from_beside_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a process that was frozen between its look and the renaming."""
    file = UPath(tmp_path) / "file"
    look = Path.read_bytes

    def with_removal(path: Path) -> bytes:
        for part in tmp_path.glob("*.part"):
            part.unlink()
        return look(path)

    file.write_bytes(b"old")
    monkeypatch.setattr(Path, "read_bytes", with_removal)
    with pytest.raises(ChangedError):
        write_if(file, b"new", Version(b"old"))
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208


def test_a_file_that_can_not_be_written_is_not_one_that_has_changed(tmp_path: Path) -> None:
    (tmp_path / "in-the-way").touch()
    with pytest.raises(StorageError, match="file exists"):
        write_if(UPath(tmp_path) / "in-the-way" / "file", b"", Version(None))


def test_only_a_store_keeps_conditions(file: UPath) -> None:
    assert not keeps_conditions(file, b"")
    assert not file.exists()
