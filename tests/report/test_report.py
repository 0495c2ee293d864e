"""The report: each method's front, picks and hypervolume, and the table of them."""

from __future__ import annotations

import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from fpray.report.report import Report, describe
from fpray.report.terminal import table

SEEDS = Path(__file__).parents[2] / "benchmarks" / "drawnet-seeds.json"


def shown(report: Report) -> str:
    console = Console(file=StringIO(), width=200)
    console.print(table(report))
    return console.file.getvalue()


def test_each_model_has_fronts_of_its_own(compared: Report) -> None:
    assert [m.name for m in compared.methods] == ["zero_shot-small", "full-small", "zero_shot-large", "full-large"]
    fronts = {m.name: [p.name for p in m.front] for m in compared.methods}
    assert fronts["full-small"] == ["full-small-000"]  # the larger one beats it
    assert fronts["full-large"] == ["full-large-000"]
    assert [m.finished for m in compared.methods] == [0, 1, 1, 1]
    # Over zero-shot's ID, 50, and the lowest OOD, 40.
    assert [m.hypervolume for m in compared.methods] == [0, 0, 0, (80 - 50) * (60 - 40)]
    assert Report.model_validate_json(compared.model_dump_json()) == compared


def test_the_table_tells_models_apart(compared: Report) -> None:
    lines = [line.split() for line in shown(compared).splitlines()]
    assert [line[:2] for line in lines if line[:1] in (["small"], ["large"])] == [
        ["small", "zero_shot"],
        ["small", "full"],
        ["large", "zero_shot"],
        ["large", "full"],
    ]


def test_one_model_is_not_named(report: Report) -> None:
    assert "model" not in shown(report)
    assert '"model"' not in report.model_dump_json()
    assert [m.name for m in report.methods] == ["zero_shot", "full", "l2"]


def test_a_method_with_nothing_finished_has_no_picks(report: Report) -> None:
    l2 = next(m for m in report.methods if m.method == "l2")
    assert (l2.finished, l2.failed, l2.picks, l2.front, l2.hypervolume) == (0, 1, {}, (), 0.0)
    assert report.failed() == 2


def test_front_and_hypervolume_of_a_method(report: Report) -> None:
    full = next(m for m in report.methods if m.method == "full")
    assert [p.name for p in full.front] == ["full-000", "full-001"]
    assert full.hypervolume == pytest.approx((80 - 50) * (50 - 30) + (70 - 50) * (58 - 50))


def test_the_table_names_every_method_and_rule(report: Report) -> None:
    text = shown(report)
    for word in ("zero_shot", "full", "l2", "id_val", "ood_val", "knee", "3 + 1 failed", "760", "(50, 30)"):
        assert word in text


def test_each_pick_is_one_model_with_both_accuracies(report: Report) -> None:
    lines = [" ".join(line.split()) for line in shown(report).splitlines()]
    assert any(line.endswith("id_val full-000 80.0 50.0") for line in lines), lines
    assert any(line.endswith("ood_val full-001 70.0 58.0") for line in lines), lines
    assert any(line.startswith("full-000 lr=") for line in lines), lines


def test_it_fits_80_columns() -> None:
    report = Report.model_validate_json(SEEDS.read_text())
    console = Console(file=StringIO(), width=80)
    console.print(table(report))
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert all(trial in text for m in report.methods for trial in (c.name for c in m.picks.values()))
    assert "…" not in text


def test_where_nothing_has_finished_there_is_a_table_too(report: Report) -> None:
    l2 = next(m for m in report.methods if m.method == "l2")
    assert "1 failed" in shown(report.model_copy(update={"methods": (l2,), "points": ()}))


def test_an_older_report_without_a_reference_point_shows_no_hypervolume(report: Report) -> None:
    assert "hypervolume over (50, 30), of 3 trainings each" in shown(report)
    assert "hypervolume" not in shown(report.model_copy(update={"reference_point": (0.0, 0.0)}))


def test_hyperparameters_in_a_line() -> None:
    assert describe({"lr": 0.000123456, "rank": 8, "layers": "both"}) == "lr=0.000123 rank=8 layers=both"


def test_a_report_reads_back(report: Report) -> None:
    assert Report.model_validate_json(report.model_dump_json()) == report


def test_a_report_is_made_and_shown_without_the_figures_libraries() -> None:
    code = "import sys; from fpray.report import Report, make_report, table; print([*sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'fpray.report.report'" in out
    assert "'plotly" not in out
    assert "'matplotlib" not in out
