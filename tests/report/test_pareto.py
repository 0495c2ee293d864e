"""Fronts and configurations, on published models and on small cases worked out by hand."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from fpray.config.schema import Sweep
from fpray.model.names import Model
from fpray.records.record import Count, Record
from fpray.report.pareto import Accuracy, Configuration, configurations, front
from fpray.search.study import Study

OBJECTIVES = ("id/val/top1", "ood/val/top1")
FIXTURES = Path(__file__).parents[1] / "fixtures"


def configuration(name: str, id_val: float, ood_val: float) -> Configuration:
    val = Accuracy(id=id_val, ood=ood_val)
    return Configuration(name=name, method="full", params={}, val=val, test=val, test_of_seeds=(val,), trials=(name,))


@pytest.fixture(scope="module")
def wise_ft_curve() -> list[Configuration]:
    with (FIXTURES / "wise_ft_b16.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [configuration(row["alpha"], float(row["imagenet"]), float(row["ood_mean"])) for row in rows]


@pytest.fixture(scope="module")
def soup_models() -> list[Configuration]:
    with (FIXTURES / "model_soups_b32.csv").open() as file:
        rows = list(csv.DictReader(file))
    shifts = ("imagenet_v2", "imagenet_sketch", "imagenet_r", "objectnet", "imagenet_a")
    return [
        configuration(row["model"], 100 * float(row["imagenet"]), 20 * sum(float(row[s]) for s in shifts))
        for row in rows
    ]


def test_the_published_curve_has_its_known_front(wise_ft_curve: list[Configuration]) -> None:
    assert [p.name for p in front(wise_ft_curve)] == ["0.7", "0.6", "0.5", "0.4"]


def test_front_equals_a_naive_one_on_72_published_models(soup_models: list[Configuration]) -> None:
    def beaten(p: Configuration) -> bool:
        return any(q.val.id >= p.val.id and q.val.ood >= p.val.ood and q.val.pair != p.val.pair for q in soup_models)

    assert {p.name for p in front(soup_models)} == {p.name for p in soup_models if not beaten(p)}


def study(method: str, seeds: tuple[int, ...] = (0,), model: str | None = None, draws: tuple[int, ...] = (0,)) -> Study:
    settings = Sweep(name="any", methods=["full", "wise_ft"]).methods[method]
    return Study(method, settings, (Model(name=model or "drawnet-s"),), model, draws, seeds)


def test_configurations_are_named_after_their_trials_and_sources(record_of: Callable[..., Record]) -> None:
    results = {f"{role}/{part}": Count(correct=6, total=10) for role in ("id", "ood/a") for part in ("val", "test")}
    record = record_of("wise_ft-000", {"alpha": 0.5}, status="finished", results=results)
    names = [{"id": f"wise_ft-a-model-000-s{s}", "sources": (f"full-a-model-003-s{s}",), "seed": s} for s in (0, 1)]
    records = [record.model_copy(update={"trial": record.trial.model_copy(update=name)}) for name in names]
    (found,) = configurations(records, study("wise_ft", seeds=(0, 1), model="a-model"), OBJECTIVES)
    assert (found.name, found.model) == ("wise_ft-a-model-000", "a-model")
    assert found.params == {"source": "full-a-model-003", "alpha": 0.5}
    assert found.model_dump()["model"] == "a-model"
    (alone,) = configurations(records[:1], study("wise_ft"), OBJECTIVES)
    assert "model" not in alone.model_dump()


def test_configurations_are_means_over_seeds_and_need_them_all(record_of: Callable[..., Record]) -> None:
    def results(right: int) -> dict[str, Count]:
        splits = ("id/val", "id/test", "ood/a/val", "ood/a/test", "ood/b/val", "ood/b/test")
        return {split: Count(correct=right, total=100) for split in splits}

    records = [
        record_of("full-000-s0", seed=0, status="finished", results=results(60)),
        record_of("full-000-s1", seed=1, status="finished", results=results(70)),
        record_of("full-001-s0", seed=0, status="finished", results=results(90)),
        record_of("full-001-s1", seed=1, status="failed"),
    ]
    found = configurations(records, study("full", seeds=(0, 1)), OBJECTIVES)
    assert [p.name for p in found] == ["full-000"]
    assert found[0].val == Accuracy(id=65, ood=65)
    assert [a.id for a in found[0].test_of_seeds] == [60, 70]


def test_configurations_are_means_over_draws_too(record_of: Callable[..., Record]) -> None:
    results = {f"{role}/{part}": Count(correct=6, total=10) for role in ("id", "ood/a") for part in ("val", "test")}
    records = [
        record_of(f"full-000-d{draw}-s{seed}", seed=seed, draw=draw, status="finished", results=results)
        for draw in (0, 4)
        for seed in (0, 1)
    ]
    (found,) = configurations(records, study("full", seeds=(0, 1), draws=(0, 4)), OBJECTIVES)
    assert (found.name, len(found.trials)) == ("full-000", 4)
    assert configurations(records[:3], study("full", seeds=(0, 1), draws=(0, 4)), OBJECTIVES) == []
