"""What the commands on sweeps show, as lines of text."""

from __future__ import annotations

import time
from collections.abc import Sequence

from fpray.records import Record, SweepFolder
from fpray.redaction import hidden
from fpray.results.status import RunningTrial, Status, StudyStatus

ERROR_LINES = 12
"""The last lines of a failed trial's error that are shown."""


def status_lines(status: Status) -> list[str]:
    """How a sweep stands."""
    width = max((len(study.name) for study in status.studies), default=0)
    run_by = f"run by {status.run_by}" if status.run_by else "nothing runs it"
    return [
        f"{status.name}: {_whole(status)}; {run_by}",
        *(f"  {study.name:<{width}}  {_study(study)}" for study in status.studies),
        *(f"  {_running(trial)}" for trial in status.begun),
        f"folder: {status.folder}",
    ]


def list_lines(found: Sequence[Status]) -> list[str]:
    """A line for each sweep."""
    if not found:
        return ["no sweeps in ./fpray-results, nor in a storage used before"]
    width = max(len(status.name) for status in found)
    return [
        f"{status.name:<{width}}  {_whole(status)}{', running' if status.run_by else ''}  {status.folder}"
        for status in found
    ]


def trial_lines(record: Record, folder: SweepFolder) -> list[str]:
    """All that is worth knowing of a trial."""
    trial = record.trial
    lines = [f"{trial.id}: {record.status}, attempt {record.attempt}, seed {trial.seed}, draw {trial.draw} of the data"]
    lines += [f"  {name} = {value}" for name, value in trial.params.items()]
    lines += [f"  {name} = {value}, which follows" for name, value in record.implied.items()]
    lines += [f"  builds on {', '.join(trial.sources)}"] if trial.sources else []
    lines += [f"epochs done: {len(record.history)}"] if record.history else []
    lines += [f"  {split:<24} {count.top1:6.2f} %  of {count.total:,}" for split, count in record.results.items()]
    if record.movement is not None:
        lines.append(f"moved {record.movement.relative_distance:.4f} of the weights' norm from the pre-trained model")
    if record.cost is not None:
        lines.append(f"took {record.cost.seconds:.0f} s, {record.cost.images_per_second:,.0f} images/s in training")
    if record.provenance is not None:
        made_with = ", ".join(f"{package} {number}" for package, number in record.provenance.versions.items())
        lines.append(f"on {record.provenance.device}; {made_with}")
    if record.error:
        lines += ["error:", *(f"  {line}" for line in record.error.strip().splitlines()[-ERROR_LINES:])]
    return [*lines, f"folder: {hidden(str(folder.records.trial_folder(trial.id)))}"]


def _whole(status: Status) -> str:
    left_out = f", {status.left_out} left out" if status.left_out else ""
    return f"{_done(status.ended, status.planned)}{_failed(status.failed)}{left_out}"


def _done(ended: int, planned: int | None) -> str:
    return f"{ended} trials done" if planned is None else f"{ended} of {planned} trials done"


def _failed(failed: int) -> str:
    return f" ({failed} failed)" if failed else ""


def _study(study: StudyStatus) -> str:
    begun = f", {study.begun} begun" if study.begun else ""
    return f"{_done(study.finished + study.failed, study.planned)}{_failed(study.failed)}{begun}"


def _running(trial: RunningTrial) -> str:
    epochs = "" if trial.epochs is None else f" of {trial.epochs}"
    ago = time.strftime("%H:%M:%S", time.gmtime(max(0.0, trial.seconds_since)))
    return f"{trial.id}: after epoch {trial.epoch}{epochs}, {ago} ago"
