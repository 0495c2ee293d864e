"""The report: each method's front and picks, as a table for the terminal and as files."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict
from rich.table import Table
from scipy import stats

from fpray.config import Sweep
from fpray.pareto import Point, front, hypervolume, pick, points
from fpray.records import Record
from fpray.space import Params


class MethodReport(BaseModel):
    """What a sweep found for one method. The picks are None while no configuration has finished."""

    model_config = ConfigDict(frozen=True)

    method: str
    finished: int
    failed: int
    hypervolume: float
    front: tuple[Point, ...]
    id_val: Point | None
    ood_val: Point | None
    knee: Point | None


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
    every = points(records, sweep.search.objectives, len(sweep.train.seeds))
    methods = [_method_report(name, sweep, records, every) for name in sweep.methods.chosen()]
    return Report(
        sweep=sweep.name, reference_point=sweep.search.reference_point, methods=tuple(methods), points=tuple(every)
    )


def _method_report(method: str, sweep: Sweep, records: Sequence[Record], every: Sequence[Point]) -> MethodReport:
    own = [p for p in every if p.method == method]
    statuses = [r.status for r in records if r.trial.method == method]
    best = front(own)
    return MethodReport(
        method=method,
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
    for heading in ("method", "trials", f"hypervolume over ({r_id:g}, {r_ood:g})"):
        shown.add_column(heading, justify="left" if heading == "method" else "right")
    for heading in ("best ID (id_val)", "best OOD (ood_val)", "knee ID / OOD"):
        shown.add_column(heading, justify="right")
    shown.add_column("knee's hyperparameters")
    for m in report.methods:
        trials = f"{m.finished}" + (f" + {m.failed} failed" if m.failed else "")
        if m.id_val is None or m.ood_val is None or m.knee is None:
            shown.add_row(m.method, trials, "-", "-", "-", "-", "")
            continue
        shown.add_row(
            m.method,
            trials,
            f"{m.hypervolume:.0f}",
            interval(m.id_val, "id"),
            interval(m.ood_val, "ood"),
            f"{m.knee.test.id:.1f} / {m.knee.test.ood:.1f}",
            describe(m.knee.params),
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
