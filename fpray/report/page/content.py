"""The content of the page: every number on it, computed from the records."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field

from fpray.config import Sweep
from fpray.records import Record, RecordStore, kept_bytes
from fpray.report.findings import judged
from fpray.report.outcomes import Outcomes, with_validation
from fpray.report.page.answer import answer
from fpray.report.page.budget import Budget, budgets
from fpray.report.page.calibrated import calibrations
from fpray.report.page.compared import Comparison, EqualId, Numbers, comparisons
from fpray.report.page.cost import Cost, costs, disk_line, provenance
from fpray.report.page.elsewhere import Evaluation, evaluated
from fpray.report.page.lines import Baseline, Surface, baseline, surfaces
from fpray.report.page.points import Point, points_of
from fpray.report.picks import rules_line
from fpray.report.report import Report
from fpray.report.sizes import Sizes
from fpray.search import importances_of, studies


class Claim(BaseModel):
    """A claim of a finding: its difference in points, its p-value corrected for all claims, and what it amounts to."""

    model_config = ConfigDict(frozen=True)

    text: str
    difference: float | None
    half: float | None
    p: float
    verdict: str


class Finding(BaseModel):
    """A finding with its claims."""

    model_config = ConfigDict(frozen=True)

    text: str
    verdict: str
    claims: tuple[Claim, ...]


class Share(BaseModel):
    """How much of an accuracy's variation a hyperparameter makes, in [0, 1], with its standard deviation."""

    model_config = ConfigDict(frozen=True)

    method: str
    key: str
    accuracy: str
    share: float
    deviation: float


class Content(BaseModel):
    """All that the page shows. Accuracies are in per cent; `half` is half the width of a 95 % interval."""

    model_config = ConfigDict(frozen=True)

    sweep: str
    so_far: str | None
    """How far the sweep is, while it runs; the page loads itself again then."""
    layout: str
    answer: tuple[str, ...]
    """Paragraphs of plain words."""
    rules: str
    """What each rule picks, and which labels it and the search saw."""
    uncertain: str
    """What the intervals hold."""
    images: dict[str, int]
    """Of each split."""
    points: tuple[Point, ...]
    baseline: Baseline | None
    surfaces: tuple[Surface, ...]
    """Of methods with several draws or seeds."""
    comparisons: tuple[Comparison, ...]
    equal_id: tuple[EqualId, ...]
    reference_point: tuple[float, float]
    trainings: int
    sizes: dict[str, Sizes] = Field({}, exclude_if=lambda sizes: not sizes)
    """What protection gains by the model's size, of each sweep that compares models, by its name."""
    findings: tuple[Finding, ...]
    importances: tuple[Share, ...]
    """By PED-ANOVA on validation accuracies; of methods with two hyperparameters and eight configurations or more."""
    budgets: tuple[Budget, ...]
    costs: tuple[Cost, ...]
    disk: str | None
    """What the weights that are kept take; None while that isn't known."""
    evaluations: tuple[Evaluation, ...]
    provenance: dict[str, str]
    sweep_file: str


def content_of(
    sweep: Sweep,
    report: Report,
    records: Sequence[Record],
    draws: Mapping[int, Outcomes],
    sweep_file: str,
    so_far: str | None = None,
    evaluations: Mapping[str, Sequence[Record]] | None = None,
    store: RecordStore | None = None,
) -> Content:
    """Compute the page's content.

    Args:
        report: the sweep's.
        records: of its trials.
        draws: what each trial said of each image, from which intervals follow; empty for a page without them.
        sweep_file: the resolved sweep file.
        so_far: how far the sweep is, while it runs.
        evaluations: the records of trials that were evaluated on other data, by the evaluation's name.
        store: has what the trials left behind; without it, neither calibration nor disk use is known.
    """
    # Where models are searched, a method's configurations are on several, each with a zero-shot accuracy of its own.
    draws = {} if sweep.model.searched else with_validation(draws)
    numbers = Numbers(report, draws)
    known = {record.trial.id: record for record in records}
    first = next((record for record in records if record.status == "finished"), None)
    return Content(
        sweep=report.sweep,
        so_far=so_far,
        layout=sweep.data.layout,
        answer=answer(sweep, report, numbers),
        rules=rules_line(sweep.report.rules, sweep.search.objectives),
        uncertain=_uncertain(sweep, draws),
        images={} if first is None else {split: count.total for split, count in first.results.items()},
        points=points_of(report, known, numbers, calibrations(report, known, store) if store and draws else {}),
        baseline=baseline(sweep.data.layout, report),
        surfaces=surfaces(report),
        comparisons=comparisons(report, numbers, sweep.report.margin),
        equal_id=numbers.equal_id(),
        reference_point=report.reference_point,
        trainings=report.trainings,
        sizes={} if report.sizes is None else {report.sweep: report.sizes},
        findings=() if sweep.model.compared else _findings(report, draws, sweep.report.margin),
        importances=() if so_far else _importances(sweep, records),  # a second or more, while trials wait
        budgets=budgets(sweep, report, known),
        costs=costs(sweep, report, records),
        disk=None if store is None else disk_line(kept_bytes(store)),
        evaluations=evaluated(report, evaluations or {}),
        provenance=provenance(sweep, records),
        sweep_file=sweep_file,
    )


def _uncertain(sweep: Sweep, draws: Mapping[int, Outcomes]) -> str:
    if not draws:
        return "No intervals: what each trial said of each image is not there."
    if len(draws) > 1:
        return f"± is half the 95 % interval, Student's t over {len(draws)} draws of the data."
    seeds = len(sweep.train.seeds)
    of = f"{seeds} training seeds and the images" if seeds > 1 else "the images alone; other seeds differ too"
    return f"± is half the 95 % interval, by a bootstrap over {of}."


def _importances(sweep: Sweep, records: Sequence[Record]) -> tuple[Share, ...]:
    return tuple(
        Share(method=study.name, key=own.key, accuracy=own.objective, share=own.share, deviation=own.deviation)
        for study in studies(sweep)
        for own in importances_of(study, [r for r in records if study.has(r.trial)], sweep.search.axes)
    )


def _findings(report: Report, draws: Mapping[int, Outcomes], margin: float) -> tuple[Finding, ...]:
    if not draws:
        return ()
    found = judged({point.name: point for point in report.points}, draws, margin)
    return tuple(
        Finding(
            text=finding.text,
            verdict=finding.verdict,
            claims=tuple(
                Claim(
                    text=own.claim.text,
                    difference=own.estimate.value if math.isfinite(own.estimate.value) else None,
                    half=own.estimate.half_width() if math.isfinite(own.estimate.value) else None,
                    p=own.p,
                    verdict=own.verdict,
                )
                for own in finding.claims
            ),
        )
        for finding in found
    )
