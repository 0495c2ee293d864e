"""The command that checks data takes a sweep file as the sweep's own command does."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from fpray.check import app

FILE = "data: {layout: domains, root: /nowhere, id: photo}"


def test_keys_of_the_file_may_be_overridden(tmp_path: Path) -> None:
    file = tmp_path / "my.yaml"
    file.write_text(FILE)
    for name in ("photo", "sketch"):
        (tmp_path / "tree" / name).mkdir(parents=True)
    assert "'/nowhere'" in CliRunner().invoke(app, [str(file)]).stderr
    overrides = ["--set", f"data.root={tmp_path}/tree", "--set", "data.id=foto"]
    result = CliRunner().invoke(app, [str(file), *overrides])
    assert result.exit_code == 2
    assert result.stderr == f"fpray: data.id: no domain 'foto' in '{tmp_path}/tree'; did you mean 'photo'?\n"
