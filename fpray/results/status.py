"""How a sweep stands, seen from outside: from its records, without torch."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from fpray.config import parse
from fpray.records import Record, SweepFolder, holder
from fpray.redaction import hidden
from fpray.storage import read_if_there


class StudyStatus(BaseModel):
    """How far one method is, on one model. `planned` is None in folders of versions that kept no plan."""

    model_config = ConfigDict(frozen=True)

    name: str
    planned: int | None
    finished: int
    failed: int
    begun: int


class RunningTrial(BaseModel):
    """A trial that has begun and not ended: it runs, or waits for the command to go on."""

    model_config = ConfigDict(frozen=True)

    id: str
    epoch: int
    epochs: int | None
    seconds_since: float
    """Since its last epoch, or since it began."""


class Status(BaseModel):
    """How a sweep stands. `run_by` says which command runs it; None if none does.

    Counts are of trials that the sweep file asks for; `left_out` have ended, and it no longer does.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    folder: str
    run_by: str | None
    planned: int | None
    finished: int
    failed: int
    left_out: int
    studies: tuple[StudyStatus, ...]
    begun: tuple[RunningTrial, ...]

    @property
    def ended(self) -> int:
        return self.finished + self.failed


def status_of(folder: SweepFolder) -> Status:
    """The status of a sweep.

    Raises:
        StorageError: if its folder can't be read.
        UserError: if a newer fpray wrote it.
    """
    plan, content = _plan(folder), _sweep_file(folder)
    train, data = _section(content, "train"), _section(content, "data")
    repeats = len(train.get("seeds") or (0,)) * len(data.get("seeds") or (0,))
    epochs, now = train.get("epochs"), time.time()
    every = folder.records.read_all()
    records = [record for record in every if _is_asked_for(record, plan, repeats)]
    names = [*plan, *(n for n in dict.fromkeys(_study(record) for record in records) if n not in plan)]
    studies = tuple(_study_status(name, plan.get(name), records) for name in names)
    return Status(
        name=folder.path.name,
        folder=hidden(str(folder.path)),
        run_by=holder(folder.path),
        planned=sum(plan.values()) if plan else None,
        finished=sum(record.status == "finished" for record in records),
        failed=sum(record.status == "failed" for record in records),
        left_out=sum(record.has_ended for record in every) - sum(record.has_ended for record in records),
        studies=studies,
        begun=tuple(_running(record, epochs, now) for record in records if not record.has_ended),
    )


def _study(record: Record) -> str:
    """The study's name, which is the first part of its trials' ids."""
    return record.trial.configuration.rpartition("-")[0]


def _study_status(name: str, planned: int | None, records: list[Record]) -> StudyStatus:
    statuses = [record.status for record in records if _study(record) == name]
    return StudyStatus(
        name=name,
        planned=planned,
        finished=statuses.count("finished"),
        failed=statuses.count("failed"),
        begun=statuses.count("running"),
    )


def _running(record: Record, epochs: int | None, now: float) -> RunningTrial:
    last = record.history[-1].ended if record.history else record.started
    return RunningTrial(
        id=record.trial.id, epoch=len(record.history), epochs=epochs, seconds_since=round(now - last, 1)
    )


def _plan(folder: SweepFolder) -> dict[str, int]:
    """The trials of each study; empty in folders of versions that kept no plan."""
    try:
        written = json.loads(read_if_there(folder.plan_file) or b"{}")
    except ValueError:
        return {}
    return {str(name): int(trials) for name, trials in written.items()} if isinstance(written, dict) else {}


def _sweep_file(folder: SweepFolder) -> Any:
    return parse((read_if_there(folder.sweep_file) or b"{}").decode(), str(folder.sweep_file))


def _section(content: Any, name: str) -> dict[str, Any]:
    """A section of the sweep file's content; empty if it isn't there."""
    section = content.get(name) if isinstance(content, dict) else None
    return section if isinstance(section, dict) else {}


def _is_asked_for(record: Record, plan: Mapping[str, int], repeats: int) -> bool:
    """Whether a trial is one of those that the sweep file asks for, as far as its plan is known.

    Args:
        repeats: the trials of each configuration.
    """
    return not plan or record.trial.number * repeats < plan.get(_study(record), 0)
