"""The arguments of commands: a file and overrides in any order, and a hint for what other tools would take."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from fpray.__main__ import app
from fpray.arguments import file_and_overrides
from fpray.errors import UserError

OPTIONS = ["--set", "--dry-run", "--retry-failed"]


@pytest.mark.parametrize(
    ("arguments", "file", "overrides"),
    [
        ([], None, []),
        (["my.yaml"], "my.yaml", []),
        (["my.yaml", "train.epochs=4", "name=x"], "my.yaml", ["train.epochs=4", "name=x"]),
        (["train.epochs=4", "my.yaml"], "my.yaml", ["train.epochs=4"]),
        (["methods.l2.strength={log: [1e-3, 1]}"], None, ["methods.l2.strength={log: [1e-3, 1]}"]),
    ],
)
def test_a_file_and_overrides(arguments: list[str], file: str | None, overrides: list[str]) -> None:
    assert file_and_overrides(arguments, [], OPTIONS) == (file and Path(file), overrides)


def test_a_file_may_have_an_equals_sign_in_its_name(tmp_path: Path) -> None:
    file = tmp_path / "lr=1.yaml"
    file.write_text("{}")
    assert file_and_overrides([str(file)], ["a=b"], OPTIONS) == (file, ["a=b"])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--train.epochs", "4"], "an override is written train.epochs=VALUE"),
        (["--train.epochs=4"], "an override is written train.epochs=4"),
        (["--dryrun"], "did you mean '--dry-run'?"),
        (["a.yaml", "b.yaml"], "'b.yaml' is one file too many"),
    ],
)
def test_what_is_neither_has_a_hint(arguments: list[str], told: str) -> None:
    with pytest.raises(UserError, match=told.replace("?", r"\?")):
        file_and_overrides(arguments, [], OPTIONS)


def test_the_commands_take_them() -> None:
    for command in ("sweep", "check"):
        done = CliRunner().invoke(app, [command, "--train.epochs", "4"])
        assert (done.exit_code, done.stdout) == (2, "")
        assert "train.epochs=VALUE" in done.stderr
    plan = CliRunner().invoke(app, ["sweep", "--dry-run", "methods={zero_shot: {}}", "train.epochs=7"])
    assert "epochs: 7" in plan.stdout, plan.output
