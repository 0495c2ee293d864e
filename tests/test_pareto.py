from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from fpray.pareto import Accuracy, Point, front, hypervolume, pick, points
from fpray.records import Count, Record

FIXTURES = Path(__file__).parent / "fixtures"


def point(name: str, id_val: float, ood_val: float) -> Point:
    val = Accuracy(id=id_val, ood=ood_val)
    return Point(name=name, method="full", params={}, val=val, test=val, test_of_seeds=(val,), trials=(name,))


@pytest.fixture(scope="module")
def wise_ft_curve() -> list[Point]:
    with (FIXTURES / "wise_ft_b16.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [point(row["alpha"], float(row["imagenet"]), float(row["ood_mean"])) for row in rows]


@pytest.fixture(scope="module")
def soup_models() -> list[Point]:
    with (FIXTURES / "model_soups_b32.csv").open() as file:
        rows = list(csv.DictReader(file))
    shifts = ("imagenet_v2", "imagenet_sketch", "imagenet_r", "objectnet", "imagenet_a")
    return [point(row["model"], 100 * float(row["imagenet"]), 20 * sum(float(row[s]) for s in shifts)) for row in rows]


def accuracies(of: list[Point]) -> list[Accuracy]:
    return [p.test for p in of]


def test_the_published_curve_has_its_known_front(wise_ft_curve: list[Point]) -> None:
    assert [p.name for p in front(wise_ft_curve)] == ["0.7", "0.6", "0.5", "0.4"]


def test_hypervolume_of_the_published_curve(wise_ft_curve: list[Point]) -> None:
    assert hypervolume(accuracies(wise_ft_curve), (65, 50)) == pytest.approx(232.69, abs=0.01)
    ends = [p for p in wise_ft_curve if p.name in ("0.0", "1.0")]
    assert hypervolume(accuracies(ends), (65, 50)) == pytest.approx(75.5, abs=0.05)


def test_front_equals_a_naive_one_on_72_published_models(soup_models: list[Point]) -> None:
    def beaten(p: Point) -> bool:
        return any(q.val.id >= p.val.id and q.val.ood >= p.val.ood and q.val.pair != p.val.pair for q in soup_models)

    assert {p.name for p in front(soup_models)} == {p.name for p in soup_models if not beaten(p)}


def test_hypervolume_equals_the_staircase_sum(soup_models: list[Point]) -> None:
    area, below = 0.0, 40.0
    for p in front(soup_models):
        area += (p.test.id - 70) * max(0.0, p.test.ood - below)
        below = max(below, p.test.ood)
    assert hypervolume(accuracies(soup_models), (70, 40)) == pytest.approx(area)


def test_nothing_above_the_reference_point_has_no_volume() -> None:
    assert hypervolume([Accuracy(id=60, ood=60)], (65, 50)) == 0
    assert hypervolume([], (0, 0)) == 0


def test_rules_pick_by_validation() -> None:
    curve = [point("a", 80, 50), point("b", 78, 60), point("c", 70, 62), point("d", 69, 61)]
    assert pick(curve, "id_val").name == "a"
    assert pick(curve, "ood_val").name == "c"
    assert pick(curve, "knee").name == "b"


def test_ties_go_to_the_better_other_accuracy() -> None:
    curve = [point("a", 80, 50), point("b", 80, 55), point("c", 70, 55)]
    assert pick(curve, "id_val").name == "b"
    assert pick(curve, "ood_val").name == "b"


def test_a_front_of_two_has_the_better_mean_as_its_knee() -> None:
    assert pick([point("a", 80, 50), point("b", 70, 65)], "knee").name == "b"


def test_picks_never_look_at_test() -> None:
    val = Accuracy(id=70, ood=60)
    worse = Point(
        name="worse", method="full", params={}, val=val, test=Accuracy(id=99, ood=99), test_of_seeds=(), trials=()
    )
    better = point("better", 71, 61)
    assert {pick([worse, better], rule).name for rule in ("id_val", "ood_val", "knee")} == {"better"}


def test_points_are_named_after_their_trials_and_sources(record_of: Callable[..., Record]) -> None:
    results = {f"{role}/{part}": Count(correct=6, total=10) for role in ("id", "ood/a") for part in ("val", "test")}
    record = record_of(
        "wise_ft-000", {"source": "full-a-model-003-s0", "alpha": 0.5}, status="finished", results=results
    )
    trials = [record.trial.model_copy(update={"id": f"wise_ft-a-model-000-s{seed}", "seed": seed}) for seed in (0, 1)]
    records = [record.model_copy(update={"trial": trial}) for trial in trials]
    (found,) = points(records, ("id/val/top1", "ood/val/top1"), 2, "a-model")
    assert (found.name, found.model) == ("wise_ft-a-model-000", "a-model")
    assert found.params == {"source": "full-a-model-003", "alpha": 0.5}
    assert found.model_dump()["model"] == "a-model"
    (alone,) = points(records[:1], ("id/val/top1", "ood/val/top1"), 1)
    assert alone.params["source"] == "full-a-model-003-s0"
    assert "model" not in alone.model_dump()


def test_points_are_means_over_seeds_and_need_them_all(record_of: Callable[..., Record]) -> None:
    def results(right: int) -> dict[str, Count]:
        splits = ("id/val", "id/test", "ood/a/val", "ood/a/test", "ood/b/val", "ood/b/test")
        return {split: Count(correct=right, total=100) for split in splits}

    records = [
        record_of("full-000-s0", seed=0, status="finished", results=results(60)),
        record_of("full-000-s1", seed=1, status="finished", results=results(70)),
        record_of("full-001-s0", seed=0, status="finished", results=results(90)),
        record_of("full-001-s1", seed=1, status="failed"),
    ]
    found = points(records, ("id/val/top1", "ood/val/top1"), seeds=2)
    assert [p.name for p in found] == ["full-000"]
    assert found[0].val == Accuracy(id=65, ood=65)
    assert [a.id for a in found[0].test_of_seeds] == [60, 70]
