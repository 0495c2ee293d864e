"""The command `fpray cache`: it lists what is kept, and empties it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from fpray.__main__ import app
from fpray.kept import kept_files, kept_rows


def test_what_is_kept_is_listed_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FPRAY_CACHE", str(tmp_path))
    rows = kept_rows("400 images at 1024 x 1024", "these", 400, (3, 1024, 1024), np.uint8, 2**31)
    assert rows is not None
    for row in range(4):
        rows.put(row, np.ones((3, 1024, 1024), np.uint8))
    listed = CliRunner().invoke(app, ["cache"])
    assert listed.exit_code == 0
    first, last = listed.stdout.splitlines()
    assert first.startswith("  0.01 GiB  last used 20") and first.endswith("  400 images at 1024 x 1024")
    assert last == f"  0.01 GiB  in all, 1 files in '{tmp_path / 'rows'}'"
    emptied = CliRunner().invoke(app, ["cache", "--empty"])
    assert emptied.stdout == f"  0.01 GiB  removed, 1 files in '{tmp_path / 'rows'}'\n"
    assert kept_files() == []
    assert CliRunner().invoke(app, ["cache"]).stdout == f"  0.00 GiB  in all, 0 files in '{tmp_path / 'rows'}'\n"
