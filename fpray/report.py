"""The report: each method's front and picks, as a table for the terminal and as files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from rich.table import Table
from rich.text import Text
from scipy import stats

from fpray.config import Sweep
from fpray.lanes import Lane, lane_name, lanes
from fpray.pareto import Point, front, hypervolume, pick, points
from fpray.records import Record
from fpray.space import Params


class MethodReport(BaseModel):
    """What a sweep found for one method, on one model where several are compared.

    The picks are None while no configuration has finished.
    """

    model_config = ConfigDict(frozen=True)

    method: str
    model: str | None = Field(None, exclude_if=lambda model: model is None)
    finished: int
    failed: int
    hypervolume: float
    front: tuple[Point, ...]
    id_val: Point | None
    ood_val: Point | None
    knee: Point | None

    @property
    def name(self) -> str:
        """What figures and files call it."""
        return lane_name(self.method, self.model)


class Report(BaseModel):
    """What a sweep found. `hypervolume` is of the fronts' test accuracies, in squared per cent."""

    model_config = ConfigDict(frozen=True)

    sweep: str
    reference_point: tuple[float, float]
    methods: tuple[MethodReport, ...]
    points: tuple[Point, ...]

    def failed(self) -> int:
        return sum(method.failed for method in self.methods)


def make_report(sweep: Sweep, records: Sequence[Record]) -> Report:
    """Derive a sweep's report from its records."""
    methods, every = [], []
    for lane in lanes(sweep):
        own = [record for record in records if lane.has(record.trial)]
        found = points(own, sweep.search.objectives, len(sweep.train.seeds), lane.model)
        methods.append(_method_report(lane, sweep, own, found))
        every += found
    return Report(
        sweep=sweep.name, reference_point=sweep.search.reference_point, methods=tuple(methods), points=tuple(every)
    )


def _method_report(lane: Lane, sweep: Sweep, records: Sequence[Record], own: Sequence[Point]) -> MethodReport:
    statuses = [r.status for r in records]
    best = front(own)
    return MethodReport(
        method=lane.method,
        model=lane.model,
        finished=statuses.count("finished"),
        failed=statuses.count("failed"),
        hypervolume=hypervolume([p.test for p in best], sweep.search.reference_point),
        front=tuple(best),
        id_val=pick(own, "id_val") if own else None,
        ood_val=pick(own, "ood_val") if own else None,
        knee=pick(own, "knee") if own else None,
    )


def table(report: Report) -> Table:
    """The methods side by side: test accuracies in per cent, each of the configuration that validation picked."""
    r_id, r_ood = report.reference_point
    shown = Table(title=f"{report.sweep}: test accuracy in %, picked on validation images", title_justify="left")
    compared = any(m.model is not None for m in report.methods)
    for heading in ("model", "method") if compared else ("method",):
        shown.add_column(heading)
    for heading in ("trials", f"hypervolume over ({r_id:g}, {r_ood:g})"):
        shown.add_column(heading, justify="right")
    for heading in ("best ID (id_val)", "best OOD (ood_val)", "knee ID / OOD"):
        shown.add_column(heading, justify="right")
    shown.add_column("knee's hyperparameters")
    for m in report.methods:
        names = (m.model, m.method) if compared else (m.method,)
        trials = f"{m.finished}" + (f" + {m.failed} failed" if m.failed else "")
        if m.id_val is None or m.ood_val is None or m.knee is None:
            shown.add_row(*names, trials, "-", "-", "-", "-", "")
            continue
        shown.add_row(
            *names,
            trials,
            f"{m.hypervolume:.0f}",
            interval(m.id_val, "id"),
            interval(m.ood_val, "ood"),
            f"{m.knee.test.id:.1f} / {m.knee.test.ood:.1f}",
            Text(describe(m.knee.params)),  # not a plain string, in which [words] would be markup
        )
    return shown


def interval(point: Point, part: str) -> str:
    """A test accuracy, with the half width of its 95 % interval over the seeds where there are several."""
    values = [getattr(accuracy, part) for accuracy in point.test_of_seeds]
    mean = f"{getattr(point.test, part):.1f}"
    return mean if len(values) == 1 else f"{mean} ± {half_width(values):.1f}"


def half_width(values: Sequence[float]) -> float:
    """Half the width of the 95 % interval of the mean, by Student's t."""
    return float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))


def describe(params: Params) -> str:
    """Hyperparameters in a line: `lr=0.00032 strength=0.1`."""
    return " ".join(
        f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}" for name, value in params.items()
    )
