"""The report: each method's front and picks."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from fpray.config import Sweep
from fpray.records import Record
from fpray.report.curves import Averaged, curve_front, with_tests
from fpray.report.pareto import Configuration, Rule, configurations, front, hypervolume, pick
from fpray.search import Study, studies, study_name
from fpray.space import Params


class MethodReport(BaseModel):
    """The results of one method, on one model where several are compared.

    The hypervolume is of the front's test accuracies, in squared per cent. The picks (`id_val`, `ood_val`, `knee`) are
    None while no configuration has finished.
    """

    model_config = ConfigDict(frozen=True)

    method: str
    model: str | None = Field(None, exclude_if=lambda model: model is None)
    finished: int
    failed: int
    hypervolume: float
    front: tuple[Configuration, ...]
    id_val: Configuration | None
    ood_val: Configuration | None
    knee: Configuration | None
    curve: tuple[Averaged, ...] = Field((), exclude_if=lambda curve: not curve)
    """The front of its trials' curves, see `curve_front`; they count for nothing else here."""

    @property
    def name(self) -> str:
        """The name in figures and files, see `study_name`."""
        return study_name(self.method, self.model)

    def picks(self) -> dict[Rule, Configuration]:
        """The configuration that each rule picks; empty while none has finished."""
        if self.id_val is None or self.ood_val is None or self.knee is None:
            return {}
        return {"id_val": self.id_val, "ood_val": self.ood_val, "knee": self.knee}


class Report(BaseModel):
    """The results of a sweep. `points` are all its configurations, on a front or not."""

    model_config = ConfigDict(frozen=True)

    sweep: str
    reference_point: tuple[float, float]
    methods: tuple[MethodReport, ...]
    points: tuple[Configuration, ...]

    @property
    def has_reference_point(self) -> bool:
        """Whether the sweep file gives one; over (0, 0) a hypervolume says nothing."""
        return self.reference_point != (0.0, 0.0)

    def failed(self) -> int:
        """The number of trials that failed."""
        return sum(method.failed for method in self.methods)


def make_report(sweep: Sweep, records: Sequence[Record], points: Sequence[Record] = ()) -> Report:
    """Derive a sweep's report from its records.

    Args:
        records: of its trials.
        points: of the points of their curves that were evaluated on the test images.
    """
    methods, every = [], []
    known = {record.trial.id: record for record in (*records, *points)}
    for study in studies(sweep):
        own = [record for record in records if study.has(record.trial)]
        found = configurations(own, study, sweep.search.objectives)
        curve = with_tests(curve_front(own, study, sweep.search.objectives), known)
        methods.append(_method_report(study, sweep, own, found, curve))
        every += found
    return Report(
        sweep=sweep.name, reference_point=sweep.search.reference_point, methods=tuple(methods), points=tuple(every)
    )


def _method_report(
    study: Study,
    sweep: Sweep,
    records: Sequence[Record],
    own: Sequence[Configuration],
    curve: tuple[Averaged, ...],
) -> MethodReport:
    statuses = [r.status for r in records]
    best = front(own)
    return MethodReport(
        method=study.method,
        model=study.model,
        finished=statuses.count("finished"),
        failed=statuses.count("failed"),
        hypervolume=hypervolume([p.test for p in best], sweep.search.reference_point),
        front=tuple(best),
        id_val=pick(own, "id_val") if own else None,
        ood_val=pick(own, "ood_val") if own else None,
        knee=pick(own, "knee") if own else None,
        curve=curve,
    )


def describe(params: Params) -> str:
    """Hyperparameters in a line: `lr=0.00032 strength=0.1`."""
    return " ".join(
        f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}" for name, value in params.items()
    )
