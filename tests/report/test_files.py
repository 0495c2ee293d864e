"""The report's files."""

from __future__ import annotations

from pathlib import Path

from upath import UPath

from fpray.report.files import write_report
from fpray.report.report import MethodReport, Report


def test_the_files_of_a_report(report: Report, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "report"
    files = write_report(report, UPath(folder))
    fronts = {f"front-{name}.json" for name in ("zero_shot", "full", "l2")}
    assert {Path(file.path) for file in files} == set(folder.iterdir())
    assert {file.name for file in files} == fronts | {"report.json", "fronts.html", "fronts.png"}
    assert Report.model_validate_json((folder / "report.json").read_bytes()) == report
    assert MethodReport.model_validate_json((folder / "front-full.json").read_bytes()) == report.methods[1]
    assert "full-000" in (folder / "fronts.html").read_text(encoding="utf-8")
    assert (folder / "fronts.png").read_bytes().startswith(b"\x89PNG")


def test_a_report_takes_the_place_of_an_earlier_one(report: Report, compared: Report, tmp_path: Path) -> None:
    write_report(report, UPath(tmp_path))
    write_report(compared, UPath(tmp_path))
    assert Report.model_validate_json((tmp_path / "report.json").read_bytes()) == compared
