"""The report: each method's front and picks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field

from fpray.config import Sweep
from fpray.records import Record
from fpray.report.curves import Averaged, curve_front, with_tests
from fpray.report.hypervolumes import hypervolumes, reference_point_of
from fpray.report.outcomes import Outcomes, on_test, with_validation
from fpray.report.pareto import Accuracy, Configuration, configurations, front
from fpray.report.picks import deciding_rule, pick
from fpray.report.sizes import Sizes, sizes_of
from fpray.report.views import MethodView
from fpray.search import Study, studies, study_name
from fpray.space import Params


class MethodReport(BaseModel):
    """The results of one method, on one model where several are compared.

    The hypervolumes are of test accuracies, in squared per cent, of as many trainings or as many points as the report
    says, see `hypervolumes`.
    """

    model_config = ConfigDict(frozen=True)

    method: str
    model: str | None = Field(None, exclude_if=lambda model: model is None)
    finished: int
    failed: int
    hypervolume: float
    """At equal trainings."""
    hypervolume_at_points: float = 0.0
    """At equal points, whatever a point costs."""
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
    objectives: tuple[str, ...] = ()
    """What the search maximised; empty in an older report."""
    reference_point: tuple[float, float]
    """The sweep file's, or the records', see `reference_point_of`."""
    trainings: int = 0
    """The trainings of each method that the hypervolumes are of."""
    configurations: int = 0
    """The configurations of each that the hypervolumes at equal points are of."""
    methods: tuple[MethodReport, ...]
    points: tuple[Configuration, ...]
    sizes: Sizes | None = Field(None, exclude_if=lambda sizes: sizes is None)
    """What protection gains by the model's size, where models are compared."""

    def of(self, method: MethodReport) -> list[Configuration]:
        """A method's configurations, on its front or not."""
        return [point for point in self.points if (point.method, point.model) == (method.method, method.model)]

    def failed(self) -> int:
        """The number of trials that failed."""
        return sum(method.failed for method in self.methods)


def make_report(
    sweep: Sweep,
    records: Sequence[Record],
    points: Sequence[Record] = (),
    draws: Mapping[int, Outcomes] | None = None,
) -> Report:
    """Derive a sweep's report from its records.

    Args:
        records: of its trials.
        points: of the points of their curves that were evaluated on the test images.
        draws: what each trial said of each image, from which intervals follow; without it there are none.
    """
    methods, every = [], []
    known = {record.trial.id: record for record in (*records, *points)}
    halves = _half_widths(draws or {})
    for study in studies(sweep):
        own = [record for record in records if study.has(record.trial)]
        found = [
            configuration.model_copy(update={"test_half": halves.get(configuration.name)})
            for configuration in configurations(own, study, sweep.search.axes)
        ]
        curve = with_tests(curve_front(own, study, sweep.search.axes), known)
        methods.append(_method_report(study, sweep, own, found, curve))
        every += found
    return _with_hypervolumes(
        Report(
            sweep=sweep.name,
            objectives=sweep.search.objectives,
            reference_point=(0.0, 0.0),
            methods=tuple(methods),
            points=tuple(every),
            sizes=_sizes(sweep, records, every, draws or {}),
        ),
        sweep.search.reference_point,
    )


def _with_hypervolumes(report: Report, reference_point: tuple[float, float] | None) -> Report:
    views = {m.name: MethodView.of(found) for m in report.methods if (found := report.of(m))}
    # (0, 0) was the default of an earlier fpray, over which a hypervolume says nothing.
    given = reference_point if reference_point != (0.0, 0.0) else None
    known = hypervolumes(views, given or reference_point_of(views))
    methods = [
        m.model_copy(update={"hypervolume": h.at_trainings, "hypervolume_at_points": h.at_points})
        if (h := known.of.get(m.name))
        else m
        for m in report.methods
    ]
    changes = {"reference_point": known.reference_point, "trainings": known.trainings, "configurations": known.points}
    return report.model_copy(update={"methods": tuple(methods)} | changes)


def _sizes(
    sweep: Sweep, records: Sequence[Record], points: Sequence[Configuration], draws: Mapping[int, Outcomes]
) -> Sizes | None:
    models = [model for model in sweep.model.apart() if model is not None]
    if len(models) < 2:
        return None
    known = {record.trial.model.short: record.weights for record in records if record.trial.model and record.weights}
    weights = {model: known.get(model) for model in models}
    rule = deciding_rule(sweep.report.rules)
    return sizes_of(points, rule, weights, with_validation(draws), sweep.report.margin)


def _half_widths(draws: Mapping[int, Outcomes]) -> dict[str, Accuracy]:
    """Half the width of the interval of each configuration's test accuracies."""
    known = on_test(draws) if draws else {}
    return {name: Accuracy(id=own.half_width(), ood=ood.half_width()) for name, (own, ood) in known.items()}


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
        hypervolume=0.0,
        front=tuple(best),
        picks={rule: picked for rule in sweep.report.rules if (picked := pick(own, rule)) is not None},
        curve=curve,
    )


def describe(params: Params) -> str:
    """Hyperparameters in a line: `lr=0.00032 strength=0.1`."""
    return " ".join(
        f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}" for name, value in params.items()
    )
