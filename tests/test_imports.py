"""Slow libraries are imported by what needs them: help needs none, records need no torch, a trial needs no Ray."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

SLOW = {"torch", "ray", "optuna", "mlflow"}


def imported_by(*arguments: str) -> tuple[int, set[str]]:
    """A Python process's exit code, and the top names of all modules that it imported."""
    call = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(call, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return done.returncode, {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("fpray --help", 0),
        ("fpray --version", 0),
        ("fpray sweep --help", 0),
        ("fpray sweep --nope", 2),
        ("fpray nope", 2),
        ("fpray init --help", 0),
        ("fpray schema --help", 0),
        ("fpray schema --nope", 2),
        ("fpray.sweep --help", 0),
        ("fpray.sweep --nope", 2),
        ("fpray.check --help", 0),
        ("fpray.check --nope", 2),
    ],
)
def test_help_and_mistakes_in_the_command_line_import_nothing_slow(command: str, code: int) -> None:
    returned, imported = imported_by("-m", *command.split())
    assert returned == code
    assert {"fpray", "typer"} <= imported
    assert imported & SLOW == set()


def test_what_is_imported_is_seen_inside_functions_too() -> None:
    returned, imported = imported_by("-c", "def inside():\n    import optuna\n\ninside()")
    assert returned == 0
    assert imported & SLOW == {"optuna"}


# These run in a process of their own, in which nothing has been imported yet.


def without(*libraries: str) -> None:
    """Let every import of these fail."""
    assert not sys.modules.keys() & set(libraries)
    sys.modules.update(dict.fromkeys(libraries))


def trial_without_ray(folder: str, model: str) -> None:
    without("ray", "optuna", "mlflow")
    import torch
    from upath import UPath

    from fpray.config.file import check_sweep
    from fpray.records import Record, SweepFolder, Trial
    from fpray.training import Runtime, run_trial

    train = {"epochs": 1, "batch_size": 40}
    sweep = check_sweep({"name": "s", "data": {"train_images": 80}, "model": {"name": model}, "train": train}, "s")
    trial = Trial(id="full-000", method="full", number=0, seed=0, params={"lr": 1e-4}, model=sweep.model.each()[0])
    sweep_folder = SweepFolder(UPath(folder))
    record = sweep_folder.records.claim(Record(trial=trial, started=1.0))
    run_trial(record, sweep.trial_settings("full"), sweep_folder, Runtime(torch.device("cpu")))


def statuses_without_torch(folder: str) -> dict[str, str]:
    without("torch", "open_clip", *SLOW)
    from upath import UPath

    from fpray.records import SweepFolder

    return {record.trial.id: record.status for record in SweepFolder(UPath(folder)).records.read_all()}


def test_a_trial_runs_without_ray_and_its_record_is_read_without_torch(tmp_path: Path, tiny_clip: str) -> None:
    for function, arguments, returns in (
        (trial_without_ray, (str(tmp_path), tiny_clip), None),
        (statuses_without_torch, (str(tmp_path),), {"full-000": "finished"}),
    ):
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            assert process.submit(function, *arguments).result() == returns
