"""Several sweeps on one page, told apart everywhere."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from fpray.__main__ import app
from fpray.report import as_html, together
from fpray.results import Results


def test_each_sweep_keeps_its_numbers_under_its_name(finished: Results) -> None:
    one, other = finished.content, finished.content.model_copy(update={"sweep": "other"})
    both = together([one, other])
    assert both.sweep == "small and other"
    names = [point.name for point in both.points]
    assert len(names) == len(set(names)) == 2 * len(one.points)
    for point, own in zip(both.points, (*one.points, *one.points), strict=True):
        assert (point.test, point.half, point.rules) == (own.test, own.half, own.rules)
        assert point.source is None or point.source in names
    assert {c.name for c in both.comparisons} <= set(names)
    assert [line.partition(":")[0] for line in both.answer] == ["small"] * len(one.answer) + ["other"] * len(one.answer)
    assert len(both.costs) == 2 * len(one.costs) and len({c.method for c in both.costs}) == len(both.costs)
    assert "small and other" in as_html(both)


def test_the_command_refuses_two_of_one_name(finished: Results, tmp_path: Path) -> None:
    def said(*names: object) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["report", *map(str, names), "--to", str(tmp_path / "both.html")])
        return result.exit_code, result.output

    code, text = said(finished.folder, finished.folder)
    assert code == 2 and "two of these sweeps have the same name" in text
    code, text = said(finished.folder)
    assert code == 0 and (tmp_path / "both.html").read_text().startswith("<!doctype html>")
