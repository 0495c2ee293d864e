"""Two small sweeps, from which the tests here make reports: one of three methods, one of two models."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fpray.config.file import check_sweep
from fpray.model.names import Model
from fpray.records.record import Count, Record
from fpray.report.report import Report, make_report
from tests.finished import finished, pictures

__all__ = ["compared", "finished", "pictures", "report"]


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
    """A report on two models, each with a trial of full fine-tuning, and the second with zero-shot too."""

    def record(method: str, model: str, id_right: int, ood_right: int) -> Record:
        made = record_of(f"{method}-000", status="finished", results=results(id_right, ood_right))
        changes = {"id": f"{method}-{model}-000", "model": Model(name=f"any/{model}")}
        return made.model_copy(update={"trial": made.trial.model_copy(update=changes)})

    records = [record("full", "small", 70, 40), record("full", "large", 80, 60), record("zero_shot", "large", 50, 70)]
    content = {"name": "s", "methods": ["zero_shot", "full"], "model": {"name": ["any/small", "any/large"]}}
    return make_report(check_sweep(content, "s"), records)
