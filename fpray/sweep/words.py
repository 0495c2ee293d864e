"""The words for how trials go on and how a sweep stands."""

from __future__ import annotations

import re

from fpray.records import ALPHA, Record, accuracies
from fpray.report import describe
from fpray.search import Schedule
from fpray.sweep.points import Evaluations, Points

SHORT = {"id/val/top1": "ID", "ood/val/top1": "OOD"}
"""The names of the usual objectives in a line of progress."""


def end_sentence(record: Record, schedule: Schedule) -> str:
    """How a trial ended, or why its attempt did; accuracies are those on validation images."""
    trial = record.trial
    if record.status == "failed":
        return f"{trial.id} failed: {why_it_failed(record)}"
    if not record.has_ended:
        return f"{trial.id} is tried again from epoch {record.checkpoint + 1}: {why_it_failed(record)}"
    width = max([16, *(len(study.name) + len("-000") for study in schedule.studies)])
    study = next(study for study in schedule.studies if study.has(trial))
    return f"{trial.id:<{width}} val {_reached(record, schedule)}  {describe(study.suggestion(trial))}".rstrip()


def epoch_sentence(record: Record, schedule: Schedule) -> str:
    """How far a running trial is, with its validation accuracies."""
    metrics = accuracies(record.history[-1].validation)
    reached = [f"{_short(key)} {metrics[key]:.1f}" for key in schedule.sweep.search.axes if key in metrics]
    val = f"  val {'  '.join(reached)}" if reached else ""
    return f"{record.trial.id} {epoch_words(record, record.trial.epochs(schedule.sweep.train.epochs))}{val}"


def epoch_words(record: Record, epochs: int) -> str:
    """`epoch 3/6  cross_entropy 0.512  1,234 images/s`: the epochs done, and the last one's losses and speed."""
    if not record.history:
        return "has begun"
    last = record.history[-1]
    losses = "".join(f"  {name} {value:.3g}" for name, value in list(last.losses.items())[:2])
    return f"epoch {last.epoch}/{epochs}{losses}  {last.images / last.seconds:,.0f} images/s"


def best_lines(schedule: Schedule) -> list[str]:
    """The best so far of each objective on validation images, with both accuracies of the same trial."""
    finished = [record for record in schedule.wanted() if record.status == "finished"]
    if not finished:
        return []
    lines = []
    for key in schedule.sweep.search.objectives:
        best = max(finished, key=lambda record: record.metrics()[key])  # noqa: B023 - used at once
        lines.append(f"best val {_short(key)} so far: {best.trial.id} {_reached(best, schedule)}")
    return lines


def where_it_stands(schedule: Schedule, points: Points | None, why: str) -> str:
    """The state of a sweep that is left, in a line.

    Args:
        points: of its curves; None while it has trials that have not ended.
    """
    wanted, usual = schedule.wanted(), schedule.sweep.train.epochs
    begun = [record for record in wanted if not record.has_ended]
    at = [f"{r.trial.id} after epoch {len(r.history)} of {r.trial.epochs(usual)}" for r in begun]
    done = f"{why}: {sum(r.has_ended for r in wanted)} of {schedule.planned} trials are done"
    if points is not None:
        at.append(f"{sum(r.has_ended for r in points.wanted())} of {points.planned} points of their curves too")
    return f"{', '.join([done, *at])}; the same command goes on from here"


def point_sentence(record: Record, points: Evaluations) -> str:
    """How the evaluation of a curve's point ended, or why its attempt did."""
    done = sum(r.has_ended for r in points.wanted())
    count = f"[{done:>{len(str(points.planned))}}/{points.planned}] {record.trial.sources[0]} at alpha "
    said = f"{count}{record.trial.params[ALPHA]:.3g}"
    if record.status != "finished":
        return f"{said} {'failed' if record.has_ended else 'is tried again'}: {why_it_failed(record)}"
    metrics = record.metrics()
    return f"{said}  test ID {metrics['id/test/top1']:.1f}  OOD {metrics['ood/test/top1']:.1f}"


def why_it_failed(record: Record) -> str:
    """The reason of a failure in a line: its message alone where fpray wrote it, else with the error's name."""
    last = next(iter((record.error or "").strip().splitlines()[-1:]), "its process died")
    raised = re.fullmatch(r"(?P<module>(?:\w+\.)*)(?P<name>\w+): (?P<message>.+)", last)
    if raised is None:
        return last
    own = raised["module"].startswith("fpray.")
    return raised["message"] if own else f"{raised['name']}: {raised['message']}"


def duration(seconds: float) -> str:
    """`2 h 5 min`, `3 min 20 s` or `40 s`."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def _reached(record: Record, schedule: Schedule) -> str:
    metrics = record.metrics()
    return "  ".join(f"{_short(key)} {metrics[key]:5.1f}" for key in schedule.sweep.search.axes)


def _short(objective: str) -> str:
    return SHORT.get(objective, objective.removesuffix("/top1"))
