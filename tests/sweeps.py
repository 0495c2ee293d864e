"""Sweeps of a few keys, and what lies in their folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from upath import UPath

from fpray.config.file import check_sweep
from fpray.config.schema import Sweep
from fpray.execution.room import Room
from fpray.records.folder import SweepFolder
from fpray.records.record import Record
from fpray.records.store import RecordStore
from fpray.sweep.settling import Start, next_start, settle


def sweep_of(**sections: Any) -> Sweep:
    """A sweep with some sections, by itself of two trials of full fine-tuning, and the defaults of the others."""
    return check_sweep({"name": "s", "methods": {"full": {"trials": 2}}} | sections, "s.yaml")


def settled(sweep: Sweep, folder: SweepFolder) -> Start:
    """Settle a sweep into its folder; returns its start."""
    start = next_start(sweep, folder, folder.records.read_all())
    settle(sweep, folder, start)
    return start


def room_for(trials: int) -> Callable[[], Room]:
    """Room for so many trials at a time, whatever they need."""
    return lambda: Room(most=trials, may_grow=True)


def records_in(folder: Path) -> dict[str, Record]:
    """The records in a sweep's folder, by their trials' ids."""
    return {record.trial.id: record for record in RecordStore(UPath(folder)).read_all()}
