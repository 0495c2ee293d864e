"""Importances: a hyperparameter that decides all has all, and few configurations say nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fpray.config.file import check_sweep
from fpray.records import Count, Record
from fpray.search import Study, importances_of, studies
from fpray.space import Log

Make = Callable[..., Record]


def study_of(trials: int) -> Study:
    sweep = check_sweep({"name": "s", "methods": {"l2": {"trials": trials, "form": "coupled"}}}, "s")
    (study,) = studies(sweep)
    return study


def finished(study: Study, make: Make, trials: int) -> list[Record]:
    """Trials whose ID accuracy follows kappa alone, and whose OOD accuracy the learning rate."""
    space, records = study.space(), []
    lr, kappa = space["lr"], space["kappa"]
    assert isinstance(lr, Log) and isinstance(kappa, Log)
    for n in range(trials):
        first, second = n / trials, (n * 7 % trials) / trials
        params = {"lr": lr.at(first), "kappa": kappa.at(second), "weight_decay": 0.0, "form": "coupled"}
        results = {"id/val": second, "ood/a/val": first}
        counts = {split: Count(correct=round(100 * share), total=100) for split, share in results.items()}
        records.append(make(f"l2-{n:03d}", params, status="finished", results=counts))
    return records


def test_what_decides_has_the_larger_share(record_of: Make) -> None:
    study = study_of(20)
    found = importances_of(study, finished(study, record_of, 20), ("id/val/top1", "ood/val/top1"))
    shares = {(own.objective, own.key): own.share for own in found}
    for objective, decides in (("id/val/top1", "kappa"), ("ood/val/top1", "lr")):
        own = {key: share for (of, key), share in shares.items() if of == objective}
        assert sum(own.values()) == pytest.approx(1) and max(own, key=lambda key: own[key]) == decides
        assert own[decides] > 0.7
    assert all(0 <= own.deviation < 0.5 for own in found)


def test_few_configurations_say_nothing(record_of: Make) -> None:
    study = study_of(7)
    assert importances_of(study, finished(study, record_of, 7), ["id/val/top1"]) == []
