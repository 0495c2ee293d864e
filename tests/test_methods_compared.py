"""benchmarks/methods.py: gains, hypervolumes at equal cost, and what a training costs, each by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.methods import Comparison, comparison_of, costs_of, gains, reached, tables
from fpray.config import read_sweep
from fpray.report.hypervolumes import at_trainings
from fpray.report.pareto import Accuracy, Configuration
from fpray.report.views import MethodView
from fpray.results import Results
from tests.finished import finished, pictures

__all__ = ["finished", "pictures"]

Point = tuple[float, float]
ROOT = Path(__file__).parents[1]
KEPT = ROOT / "benchmarks" / "methods-drawnet-s.json"


def view_of(method: str, points: list[Point], trainings: list[str]) -> MethodView:
    accuracies = [Accuracy(id=x, ood=y) for x, y in points]
    return MethodView.of(
        [
            Configuration(
                name=f"{method}-{number:03d}",
                method=method,
                trainings=(training,) if training else (),
                params={},
                val=accuracy,
                test=accuracy,
                test_of_seeds=(),
                trials=(),
            )
            for number, (accuracy, training) in enumerate(zip(accuracies, trainings, strict=True))
        ]
    )


VIEWS = {
    "zero_shot": view_of("zero_shot", [(60.0, 60.0)], [""]),
    "full": view_of("full", [(80.0, 50.0), (70.0, 58.0)], ["a", "b"]),
    "l2": view_of("l2", [(80.0, 52.0), (65.0, 59.0)], ["c", "d"]),
    "wise_ft": view_of("wise_ft", [(75.0, 61.0)], ["a"]),
}


def test_a_gain_is_at_equal_id_where_both_have_one() -> None:
    found = gains(VIEWS)
    # At 65, 70 and 75 % ID: full has 58, 58 and 54; L2 59, 56 2/3 and 54 1/3; WiSE-FT 61.
    assert found["l2 over full"] == pytest.approx((1 - 4 / 3 + 1 / 3) / 3)
    assert found["wise_ft over full"] == pytest.approx((3 + 3 + 7) / 3)
    assert found["l2 over wise_ft"] == pytest.approx(((59 + 56 + 2 / 3 + 54 + 1 / 3) - 183) / 3)
    assert set(found) == {"l2 over full", "wise_ft over full", "l2 over wise_ft", "full over wise_ft"}


def test_at_equal_cost_a_part_of_a_training_counts_in_part_and_no_method_has_more_than_it_has() -> None:
    point, affordable = (60.0, 50.0), {"zero_shot": 9.0, "full": 1.5, "l2": 0.5, "wise_ft": 2.0}
    found, l2, full = reached(VIEWS, point, affordable), *(at_trainings(VIEWS[m], point) for m in ("l2", "full"))
    assert found["full at cost"] == pytest.approx((full[0] + full[1]) / 2)
    assert found["l2 at cost"] == pytest.approx(l2[0] / 2)
    assert found["wise_ft at cost"] == found["wise_ft at trainings"] == pytest.approx(15 * 11)
    assert (found["full at trainings"], found["l2 at trainings"]) == (full[-1], l2[-1])
    assert found["l2 more at cost"] == pytest.approx(l2[0] / 2 - 15 * 11)
    assert not any(key.startswith("zero_shot") for key in found)  # it trains nothing, so its number would not be one


def test_a_training_costs_its_trials_and_all_that_they_are_made_of(finished: Results) -> None:
    seconds = {record.trial.id: record.cost.seconds for record in finished.records if record.cost}
    full = (seconds["full-000"] + seconds["full-001"]) / 2
    (source,) = next(record.trial.sources for record in finished.records if record.trial.method == "wise_ft")
    assert costs_of(finished) == pytest.approx(
        {
            "zero_shot": seconds["zero_shot-000"] / full,
            "full": 1.0,
            "lora": seconds["lora-000"] / full,
            "wise_ft": (seconds["wise_ft-000"] + seconds[source]) / full,
        }
    )


def test_the_tables_have_every_method_and_are_the_same_of_what_is_kept(finished: Results) -> None:
    comparison = comparison_of(finished)
    lines = list(tables(comparison))
    begun = [line.split(" | ")[0] for line in lines if line.startswith("| ")]
    assert sorted(begun[1:4]) == ["| full", "| lora", "| wise_ft"]
    assert sorted(begun[5:]) == ["| full", "| lora", "| wise_ft", "| zero_shot"]
    assert list(tables(Comparison.model_validate_json(comparison.model_dump_json()))) == lines


def test_the_page_has_every_line_of_what_is_kept() -> None:
    text = (ROOT / "docs" / "beyond.md").read_text()
    for line in filter(None, tables(Comparison.model_validate_json(KEPT.read_text()))):
        assert line in text, line


def test_what_is_kept_is_of_the_shipped_sweep() -> None:
    sweep = read_sweep(ROOT / "sweeps" / "drawnet-methods.yaml", [])
    assert set(Comparison.model_validate_json(KEPT.read_text()).methods) == set(sweep.methods)
