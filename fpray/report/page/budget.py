"""The budget: what fewer trainings would have given, and whether more would help."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import BaseModel, ConfigDict

from fpray.config import Sweep
from fpray.records import Record
from fpray.report.hypervolumes import at_trainings
from fpray.report.page.cost import gpus_of
from fpray.report.pareto import Configuration
from fpray.report.report import Report
from fpray.report.views import MethodView


class Budget(BaseModel):
    """A method's hypervolume by the number of its trainings, in squared per cent: the mean over subsets of them."""

    model_config = ConfigDict(frozen=True)

    method: str
    hypervolumes: tuple[float, ...]
    """Of one training, of two, and so on."""
    hours: float
    """Of one training, all its trials together; GPU hours where they have GPUs."""
    gpu: bool


def budgets(sweep: Sweep, report: Report, records: Mapping[str, Record]) -> tuple[Budget, ...]:
    """The budget of each method that trains, or is made of trainings.

    Args:
        records: of its trials, by their ids.
    """
    found = []
    for method in report.methods:
        own = [configuration for configuration in report.of(method) if configuration.trainings]
        if own:
            curve = at_trainings(MethodView.of(own), report.reference_point)
            hours, gpu = _hours(sweep, report, own, records)
            found.append(Budget(method=method.name, hypervolumes=curve, hours=hours, gpu=gpu))
    return tuple(found)


def _hours(sweep: Sweep, report: Report, own: list[Configuration], records: Mapping[str, Record]) -> tuple[float, bool]:
    """The mean time of the trainings that some configurations are points of, and whether it is of GPUs."""
    by_name = {c.name: c for c in report.points}
    sources = [by_name[name] for name in dict.fromkeys(name for c in own for name in c.trainings) if name in by_name]
    gpus = {c.method: gpus_of(sweep, c.method) for c in sources}
    seconds = [
        (gpus[c.method] or 1) * sum(cost.seconds for t in c.trials if (cost := records[t].cost) is not None)
        for c in sources
    ]
    return float(np.mean(seconds)) / 3600 if seconds else 0.0, any(gpus.values())
