"""Provenance: which commit of fpray ran, found out without writing into its checkout."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fpray.records import commit, provenance


@pytest.fixture(autouse=True)
def _found_out_anew() -> Iterator[None]:
    commit.cache_clear()
    yield
    commit.cache_clear()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with a commit, of which fpray is taken to be a part."""
    (tmp_path / "file").write_text("as it was\n")
    author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for call in (["init", "-q"], ["add", "-A"], [*author, "commit", "-qm", "one"]):
        subprocess.run(["git", *call], cwd=tmp_path, check=True)
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "fpray" / "records" / "provenance.py"))
    return tmp_path


def test_the_commit_is_marked_when_there_are_changes(checkout: Path) -> None:
    clean = commit()
    assert clean is not None and not clean.endswith("-dirty")
    (checkout / "new").write_text("git does not know it")
    commit.cache_clear()
    assert commit() == clean
    (checkout / "file").write_text("as it is now\n")
    commit.cache_clear()
    assert commit() == f"{clean}-dirty"


def test_asking_writes_nothing_into_the_checkout(checkout: Path) -> None:
    index = checkout / ".git" / "index"
    before = index.read_bytes()
    os.utime(checkout / "file", (1e9, 1e9))  # git's index is behind, and `git describe --dirty` would refresh it
    subprocess.run(["git", "describe", "--always", "--dirty"], cwd=checkout, check=True, capture_output=True)
    assert index.read_bytes() != before, "the trap that this test is about is gone"
    before = index.read_bytes()
    os.utime(checkout / "file", (2e9, 2e9))
    assert commit() is not None
    assert index.read_bytes() == before


def test_an_installed_package_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "fpray" / "records" / "provenance.py"))
    assert commit() is None


def test_a_checkout_without_commits_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("staged\n")
    for call in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", *call], cwd=tmp_path, check=True)
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "fpray" / "records" / "provenance.py"))
    assert commit() is None
