"""The report's files."""

from __future__ import annotations

import csv
from pathlib import Path

from upath import UPath

from fpray.report.files import write_report
from fpray.report.page import Content
from fpray.report.report import MethodReport, Report
from fpray.results import Results

FILES = {"report.json", "numbers.json", "trials.csv", "report.html", "fronts.png", "fronts.svg", "fronts.pdf"}


def test_the_files_of_a_report(finished: Results, tmp_path: Path) -> None:
    folder, report, content = tmp_path / "new" / "report", finished.report, finished.content
    files = write_report(report, content, UPath(folder))
    fronts = {f"front-{name}.json" for name in ("zero_shot", "full", "lora", "wise_ft")}
    assert {Path(file.path) for file in files} == set(folder.iterdir())
    assert {file.name for file in files} == fronts | FILES
    assert Report.model_validate_json((folder / "report.json").read_bytes()) == report
    assert Content.model_validate_json((folder / "numbers.json").read_bytes()) == content
    assert MethodReport.model_validate_json((folder / "front-full.json").read_bytes()) == report.methods[1]
    assert "full-000" in (folder / "report.html").read_text(encoding="utf-8")
    with (folder / "trials.csv").open() as stream:
        assert [row["configuration"] for row in csv.DictReader(stream)] == [point.name for point in report.points]


def test_a_report_takes_the_place_of_an_earlier_one(finished: Results, tmp_path: Path) -> None:
    write_report(finished.report.model_copy(update={"sweep": "other"}), finished.content, UPath(tmp_path))
    write_report(finished.report, finished.content, UPath(tmp_path))
    assert Report.model_validate_json((tmp_path / "report.json").read_bytes()) == finished.report
