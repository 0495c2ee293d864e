"""Trials that build on others' in a sweep: one, a pair of seeds, all; and half of validation where it counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from fpray.config import Sweep, check_sweep
from fpray.records import Record, RecordStore
from fpray.report import make_report
from fpray.training.bench import seen_half
from tests.finished import pictures
from tests.sweeps import run_here

__all__ = ["pictures"]

Ended = tuple[Sweep, dict[str, Record], RecordStore]


@pytest.fixture(scope="module")
def ended(pictures: Path, tiny_clip: str, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """A sweep with two seeds whose trials have all ended."""
    storage = tmp_path_factory.mktemp("building")
    content: dict[str, Any] = {
        "name": "building",
        "data": {"layout": "domains", "root": str(pictures), "id": "photo", "id_val": 0.3, "ood_val": 0.4},
        "model": {"name": tiny_clip},
        "train": {"epochs": 2, "batch_size": 16, "alphas": 0, "lr": {"grid": [1e-4, 1e-2, 1e-3]}, "seeds": [0, 1]},
        "methods": {
            "zero_shot": {},
            "full": {},
            "uniform_soup": {"trials": 1, "ingredients": 2},
            "greedy_soup": {},
            "model_stock": {"trials": 2},
            "tpgm": {"trials": 1, "steps": 3, "batch_size": 4},
        },
        "storage": str(storage),
    }
    sweep = check_sweep(content, "building.yaml")
    run_here(sweep)
    store = RecordStore(UPath(storage) / "building")
    return sweep, {record.trial.id: record for record in store.read_all()}, store


def test_each_builds_on_what_it_takes(ended: Ended) -> None:
    _, records, _ = ended
    assert {record.status for record in records.values()} == {"finished"}
    mean = {
        f"full-{n:03d}": sum(records[f"full-{n:03d}-s{seed}"].results["id/val"].top1 for seed in (0, 1))
        for n in range(3)
    }
    best_first = sorted(mean, key=lambda name: mean[name], reverse=True)
    for seed, other in ((0, 1), (1, 0)):
        soup = records[f"uniform_soup-000-s{seed}"].trial
        assert soup.sources == tuple(f"{name}-s{seed}" for name in best_first)
        assert records[f"greedy_soup-000-s{seed}"].trial.sources == soup.sources
        first, second = records[f"model_stock-000-s{seed}"].trial.sources
        assert (first[-3:], second[-3:]) == (f"-s{seed}", f"-s{other}")
        assert first[:-3] == second[:-3]
    stock = [records[f"model_stock-{n:03d}-s0"].results for n in range(2)]
    assert (
        stock[0] != stock[1]
        or records["model_stock-000-s0"].trial.sources == records["model_stock-001-s0"].trial.sources
    )


def test_what_has_learnt_from_validation_is_judged_on_the_other_half(ended: Ended) -> None:
    _, records, store = ended
    whole = records["full-000-s0"].results["id/val"].total
    for record in records.values():
        halved = record.trial.method in ("greedy_soup", "tpgm")
        images = store.read_images(record.trial.id)
        for split, count in record.results.items():
            own = images[split]
            assert (
                count.total
                == own.counted.sum()
                == (whole - whole // 2 if halved and split == "id/val" else len(own.labels))
            )
            assert count.correct == own.correct.sum()
        if halved:
            assert (~images["id/val"].counted == seen_half(whole)).all()


def test_the_report_takes_them_all(ended: Ended) -> None:
    sweep, records, _ = ended
    report = make_report(sweep, list(records.values()))
    points = {point.name: point for point in report.points}
    assert len(points["uniform_soup-000"].trainings) == 3
    assert len(points["model_stock-000"].trainings) == 1
    assert points["full-000"].trainings == ("full-000",)
    assert points["zero_shot-000"].trainings == ()
    by_name = {method.name: method for method in report.methods}
    assert by_name["greedy_soup"].front
