"""The command prints the schema that is shipped, and the page that is in docs/."""

from __future__ import annotations

from typer.testing import CliRunner

from fpray.__main__ import app
from tests.test_pages import ROOT


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["schema", *arguments])
    assert result.exit_code == 0
    return result.stdout


def test_the_shipped_schema_is_what_is_printed() -> None:
    assert printed() == (ROOT / "sweeps/sweep.schema.json").read_text(encoding="utf-8"), (
        "write it anew: fpray schema > sweeps/sweep.schema.json"
    )


def test_the_page_is_what_is_printed() -> None:
    assert printed("--markdown") == (ROOT / "docs/sweep-file.md").read_text(encoding="utf-8"), (
        "write it anew: fpray schema --markdown > docs/sweep-file.md"
    )
