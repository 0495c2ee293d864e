"""The report: each method's front and picks."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from fpray.config import Sweep
from fpray.records import DamagedRecordError, Record, RecordStore
from fpray.report.curves import Averaged, curve_front, with_tests
from fpray.report.outcomes import on_test, outcomes
from fpray.report.pareto import Accuracy, Configuration, configurations, front
from fpray.report.picks import pick
from fpray.search import Study, studies, study_name
from fpray.space import Params
from fpray.statistics import hypervolume


class MethodReport(BaseModel):
    """The results of one method, on one model where several are compared.

    The hypervolume is of the front's test accuracies, in squared per cent.
    """

    model_config = ConfigDict(frozen=True)

    method: str
    model: str | None = Field(None, exclude_if=lambda model: model is None)
    finished: int
    failed: int
    hypervolume: float
    front: tuple[Configuration, ...]
    picks: dict[str, Configuration]
    """The configuration that each rule picks; those of which none will do are left out."""
    curve: tuple[Averaged, ...] = Field((), exclude_if=lambda curve: not curve)
    """The front of its trials' curves, see `curve_front`; they count for nothing else here."""

    @property
    def name(self) -> str:
        """The name in figures and files, see `study_name`."""
        return study_name(self.method, self.model)

    def picked(self) -> list[tuple[Configuration, list[str]]]:
        """The picks, each once, with the rules that picked it."""
        rules: dict[str, list[str]] = {}
        for rule, configuration in self.picks.items():
            rules.setdefault(configuration.name, []).append(rule)
        found = {configuration.name: configuration for configuration in self.picks.values()}
        return [(found[name], by) for name, by in rules.items()]


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


def make_report(
    sweep: Sweep, records: Sequence[Record], points: Sequence[Record] = (), store: RecordStore | None = None
) -> Report:
    """Derive a sweep's report from its records.

    Args:
        records: of its trials.
        points: of the points of their curves that were evaluated on the test images.
        store: has what each trial said of each image, from which intervals follow; None for a report without them.
    """
    methods, every = [], []
    known = {record.trial.id: record for record in (*records, *points)}
    halves = {} if store is None else _half_widths(sweep, records, store)
    for study in studies(sweep):
        own = [record for record in records if study.has(record.trial)]
        found = [
            configuration.model_copy(update={"test_half": halves.get(configuration.name)})
            for configuration in configurations(own, study, sweep.search.objectives)
        ]
        curve = with_tests(curve_front(own, study, sweep.search.objectives), known)
        methods.append(_method_report(study, sweep, own, found, curve))
        every += found
    return Report(
        sweep=sweep.name, reference_point=sweep.search.reference_point, methods=tuple(methods), points=tuple(every)
    )


def _half_widths(sweep: Sweep, records: Sequence[Record], store: RecordStore) -> dict[str, Accuracy]:
    """Half the width of the interval of each configuration's test accuracies; none where an earlier fpray's trials are
    among them, which kept no images."""
    try:
        known = outcomes(records, studies(sweep), store)
    except (FileNotFoundError, DamagedRecordError):
        return {}
    if not known:
        return {}
    return {name: Accuracy(id=own.half_width(), ood=ood.half_width()) for name, (own, ood) in on_test(known).items()}


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
        hypervolume=hypervolume([p.test.pair for p in best], sweep.search.reference_point),
        front=tuple(best),
        picks={rule: picked for rule in sweep.report.rules if (picked := pick(own, rule)) is not None},
        curve=curve,
    )


def describe(params: Params) -> str:
    """Hyperparameters in a line: `lr=0.00032 strength=0.1`."""
    return " ".join(
        f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}" for name, value in params.items()
    )
