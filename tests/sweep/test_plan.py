from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from upath import UPath

from fpray.config.file import check_sweep
from fpray.errors import UserError
from fpray.execution.room import Node, Room
from fpray.records.folder import SweepFolder
from fpray.records.record import Record
from fpray.sweep.plan import devices_line, plan, require_room_here, schedule_of, trials_line
from tests.sweeps import sweep_of


def test_the_plan_counts_trials_and_images() -> None:
    methods = {"zero_shot": None, "full": {"trials": 3}, "wise_ft": {"trials": 2}}
    content = {"name": "s", "methods": methods, "train": {"epochs": 5, "seeds": [0, 1]}, "data": {"train_images": 200}}
    text = plan(check_sweep(content, "s"))
    assert "12 trials: zero_shot 2, full 6, wise_ft 4" in text
    assert "each configuration with 2 seeds" in text
    assert "about 6,000 images trained on (6 trials, 5 epochs of 200)" in text


def test_the_plan_counts_every_model() -> None:
    content = {"name": "s", "methods": {"zero_shot": None, "full": {"trials": 3}}, "data": {"train_images": 200}}
    text = plan(check_sweep(content | {"train": {"epochs": 5}, "model": {"name": ["a", "b"]}}, "s"))
    assert "8 trials: zero_shot-a 1, full-a 3, zero_shot-b 1, full-b 3" in text
    assert "about 6,000 images trained on (6 trials, 5 epochs of 200)" in text
    searched = plan(check_sweep(content | {"model": {"name": {"choice": ["a", "b"]}}}, "s"))
    assert "5 trials: zero_shot 2, full 3" in searched


def test_what_this_machine_has_no_room_for_is_refused() -> None:
    require_room_here(check_sweep({"name": "s"}, "s"))
    for section in ({"resources": {"cpus": 4096}}, {"methods": {"full": {"resources": {"cpus": 4096}}}}):
        with pytest.raises(UserError, match=r"resources: a trial needs 1 worker\(s\) with 4096 CPU.*this machine"):
            require_room_here(check_sweep({"name": "s"} | section, "s"))


def test_how_far_a_sweep_is(tmp_path: Path, record_of: Callable[..., Record]) -> None:
    sweep = sweep_of(storage=str(tmp_path), methods={"full": {"trials": 3}})
    assert trials_line(schedule_of(sweep)) == "3 trials: full 3"
    store = SweepFolder(UPath(tmp_path / "s")).records
    store.write(record_of("full-000", status="failed", error="no"))
    store.write(record_of("full-001"))
    assert trials_line(schedule_of(sweep)) == "resuming: 1 of 3 trials done, 1 begun"
    for number in (1, 2):
        store.write(record_of(f"full-00{number}", status="failed", error="no"))
    assert trials_line(schedule_of(sweep)) == "all 3 trials are done"


def test_what_a_cluster_has() -> None:
    room = Room((Node("a", 8, 2, frozenset({"A10G"})), Node("b", 4, 0)))
    sweep = sweep_of(resources={"cpus": 2, "gpus": 1}, methods={"full": {"trials": 9}})
    assert devices_line(sweep, room) == "2 nodes, 12 CPU(s), 2 GPU(s) (A10G): room for 2 trial(s) at a time"


def test_searched_epochs_are_counted_by_their_middle() -> None:
    methods = {"full": {"trials": 4, "epochs": {"int": [1, 9]}}, "l2": {"trials": 2}}
    content = {"name": "s", "methods": methods, "train": {"epochs": 5}, "data": {"train_images": 200}}
    assert "about 6,000 images trained on (6 trials, 1 to 9 epochs of 200)" in plan(check_sweep(content, "s"))
