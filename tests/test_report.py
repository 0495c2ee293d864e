from __future__ import annotations

from collections.abc import Callable
from io import StringIO

import pytest
from rich.console import Console

from fpray import figures
from fpray.pretrained import Model
from fpray.records import Count, Record
from fpray.report import Report, describe, half_width, make_report, table
from fpray.sweepfile import check_sweep


def results(id_right: int, ood_right: int) -> dict[str, Count]:
    counts = {"id/val": id_right, "id/test": id_right, "ood/a/val": ood_right, "ood/a/test": ood_right}
    return {split: Count(correct=right, total=100) for split, right in counts.items()}


@pytest.fixture
def report(record_of: Callable[..., Record]) -> Report:
    records = [
        record_of("zero_shot-000", params={}, status="finished", results=results(60, 60)),
        record_of("full-000", params={"lr": 1e-4}, status="finished", results=results(80, 50)),
        record_of("full-001", params={"lr": 1e-5}, status="finished", results=results(70, 58)),
        record_of("full-002", params={"lr": 1e-3}, status="finished", results=results(69, 40)),
        record_of("full-003", params={"lr": 1.0}, status="failed", error="the loss is not finite"),
        record_of("l2-000", params={"lr": 1.0}, status="failed", error="the loss is not finite"),
    ]
    methods = {"zero_shot": None, "full": {"trials": 4}, "l2": {"trials": 1}}
    sweep = check_sweep({"name": "s", "methods": methods, "search": {"reference_point": [50, 30]}}, "s")
    return make_report(sweep, records)


@pytest.fixture
def compared(record_of: Callable[..., Record]) -> Report:
    """Of two models, each with a trial of full fine-tuning, and zero-shot of the second."""

    def record(method: str, model: str, id_right: int, ood_right: int) -> Record:
        made = record_of(f"{method}-000", status="finished", results=results(id_right, ood_right))
        changes = {"id": f"{method}-{model}-000", "model": Model(name=f"any/{model}")}
        return made.model_copy(update={"trial": made.trial.model_copy(update=changes)})

    records = [record("full", "small", 70, 40), record("full", "large", 80, 60), record("zero_shot", "large", 50, 70)]
    content = {"name": "s", "methods": ["zero_shot", "full"], "model": {"name": ["any/small", "any/large"]}}
    return make_report(check_sweep(content, "s"), records)


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
    assert [m.hypervolume for m in compared.methods] == [0, 2800, 3500, 4800]
    assert Report.model_validate_json(compared.model_dump_json()) == compared


def test_the_table_and_the_figures_tell_models_apart(compared: Report) -> None:
    lines = [line.split("│") for line in shown(compared).splitlines() if "│" in line]
    assert [[cell.strip() for cell in line[1:3]] for line in lines] == [
        ["small", "zero_shot"],
        ["small", "full"],
        ["large", "zero_shot"],
        ["large", "full"],
    ]
    page = figures.html(compared)
    for name in ("full-small", "full-large", "zero_shot-large"):
        assert f'"name":"{name}"' in page
    assert '"symbol":"circle"' in page
    assert '"symbol":"square"' in page
    assert figures.png(compared).startswith(b"\x89PNG")


def test_one_model_is_not_named(report: Report) -> None:
    assert "model" not in shown(report)
    assert '"model"' not in report.model_dump_json()
    assert [m.name for m in report.methods] == ["zero_shot", "full", "l2"]


def test_a_method_with_nothing_finished_has_no_picks(report: Report) -> None:
    l2 = next(m for m in report.methods if m.method == "l2")
    assert (l2.finished, l2.failed, l2.knee, l2.front, l2.hypervolume) == (0, 1, None, (), 0.0)
    assert report.failed() == 2


def test_front_and_hypervolume_of_a_method(report: Report) -> None:
    full = next(m for m in report.methods if m.method == "full")
    assert [p.name for p in full.front] == ["full-000", "full-001"]
    assert full.hypervolume == pytest.approx((80 - 50) * (50 - 30) + (70 - 50) * (58 - 50))


def test_the_table_names_every_method_and_rule(report: Report) -> None:
    text = shown(report)
    for word in ("zero_shot", "full", "l2", "id_val", "ood_val", "knee", "3 + 1 failed", "760", "(50, 30)"):
        assert word in text


def test_half_width_is_students_t() -> None:
    # Three values with standard deviation 1: t(0.975, 2) / sqrt(3) = 4.3027 / 1.7321.
    assert half_width([1.0, 2.0, 3.0]) == pytest.approx(2.4841, abs=1e-3)


def test_hyperparameters_in_a_line() -> None:
    assert describe({"lr": 0.000123456, "rank": 8, "layers": "both"}) == "lr=0.000123 rank=8 layers=both"


def test_the_page_needs_no_network_and_tells_hyperparameters(report: Report) -> None:
    page = figures.html(report)
    assert "full-001" in page
    assert "lr=1e-05" in page
    assert "<script src=" not in page


def test_the_picture_is_a_png(report: Report) -> None:
    assert figures.png(report).startswith(b"\x89PNG")


def test_a_report_reads_back(report: Report) -> None:
    assert Report.model_validate_json(report.model_dump_json()) == report
