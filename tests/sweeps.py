"""Sweeps of a few keys, and what lies in their folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from upath import UPath

from fpray.config.file import check_sweep
from fpray.config.schema import Sweep
from fpray.execution.room import Room
from fpray.records.folder import SweepFolder
from fpray.records.record import Record
from fpray.records.store import RecordStore
from fpray.search import Schedule
from fpray.sweep.settling import Start, next_start, settle
from fpray.training import Runtime, run_trial


def sweep_of(**sections: Any) -> Sweep:
    """A sweep with some sections, by itself of two trials of full fine-tuning, and the defaults of the others."""
    return check_sweep({"name": "s", "methods": {"full": {"trials": 2}}} | sections, "s.yaml")


def settled(sweep: Sweep, folder: SweepFolder) -> Start:
    """Settle a sweep into its folder; returns its start."""
    start = next_start(sweep, folder, folder.records.read_all())
    settle(sweep, folder, start)
    return start


def run_here(sweep: Sweep) -> None:
    """Run what is left of a sweep, a trial at a time, as the command does, but in this process and without Ray."""
    folder, alone = SweepFolder(UPath(sweep.storage) / sweep.name), Runtime(torch.device("cpu"))
    start = settled(sweep, folder)
    schedule = Schedule(sweep, folder.records.read_all(), start.number)
    while isinstance(record := schedule.ask(), Record):
        claimed = folder.records.claim(record)
        run_trial(claimed, sweep.trial_settings(claimed.trial.method), folder, alone)
        schedule.tell(folder.records.now(claimed))
    assert schedule.complete


def room_for(trials: int) -> Callable[[], Room]:
    """Room for so many trials at a time, whatever they need."""
    return lambda: Room(most=trials, may_grow=True)


def records_in(folder: Path) -> dict[str, Record]:
    """The records in a sweep's folder, by their trials' ids."""
    return {record.trial.id: record for record in RecordStore(UPath(folder)).read_all()}
