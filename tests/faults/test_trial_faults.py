"""A trial that is killed, one that crashes, one that runs out of memory: a quick look at them."""

from __future__ import annotations

from pathlib import Path

import torch
from upath import UPath

from fpray.config.file import check_sweep
from fpray.records import SweepFolder
from fpray.search import Schedule
from fpray.training import Runtime
from tests.faults.faulty import Fault, epochs_begun, plan, work
from tests.faults.small import SMALL, in_epoch, outcomes
from tests.faults.swept import swept
from tests.sweeps import records_in


def test_one_is_killed_one_crashes_and_one_lacks_memory(tmp_path: Path, tiny_clip: str) -> None:
    content = SMALL | {"model": {"name": tiny_clip}, "storage": str(tmp_path), "methods": {"full": {"trials": 3}}}
    content |= {"resources": {"concurrency": 1}}
    sweep, folder = check_sweep(content, "small"), tmp_path / "small"
    faults = {
        "full-000#1": Fault("kill", "beat", in_epoch(2)),
        "full-001#1": Fault("crash", "beat", in_epoch(2)),
        "full-001#2": Fault("crash", "beat", 1),
        "full-002#1": Fault("run_out_of_memory", "beat", in_epoch(2)),
    }
    plan(folder, faults)
    code, said = swept(sweep)
    killed, crashed, lacking = records_in(folder).values()
    assert code == 1, said
    assert "full-000 is tried again from epoch 2: its process died" in said
    assert "failed: full-001: ValueError: this attempt can't" in said
    assert (killed.status, killed.attempt) == ("finished", 2)
    assert epochs_begun(folder)["full-000"] == sweep.train.epochs + 1
    assert (crashed.status, crashed.attempt) == ("failed", 2)
    assert (lacking.status, lacking.attempt) == ("failed", 1)
    assert "out of memory on cpu" in str(lacking.error)

    # Killed or not, the trial ends the same.
    undisturbed = SweepFolder(UPath(tmp_path / "undisturbed"))
    begun = undisturbed.records.claim(Schedule(sweep, []).ask())
    work(begun, sweep.trial_settings("full"), undisturbed, Runtime(torch.device("cpu")))
    assert outcomes([killed]) == outcomes(undisturbed.records.read_all())
