"""The commands on sweeps that are there: found by name, told how they stand, stopped, deleted."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner
from upath import UPath

from fpray.__main__ import app
from fpray.records import Count, RecordStore, SweepFolder, held, remember
from fpray.records.record import Record
from tests.sweeps import settled, sweep_of

Make = Callable[..., Record]
RESULTS = {"id/test": Count(correct=3, total=4), "ood/a/test": Count(correct=1, total=4)}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command stands in a folder of its own, and no storage was used before."""
    monkeypatch.setenv("FPRAY_STATE", str(tmp_path / "state"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def make_sweep(storage: Path, make: Make, name: str = "own") -> SweepFolder:
    """A sweep's folder with a finished, a failed and a begun trial."""
    folder = SweepFolder(UPath(storage / name))
    settled(sweep_of(name=name, storage=str(storage), methods={"full": {"trials": 4}}), folder)
    folder.records.write(make("full-000", status="finished", results=RESULTS))
    folder.records.write(make("full-001", status="failed", error="Traceback\nValueError: no"))
    folder.records.write(make("full-002"))
    return folder


@pytest.fixture
def own(tmp_path: Path, record_of: Make) -> SweepFolder:
    return make_sweep(tmp_path / "here" / "fpray-results", record_of)


def run(*arguments: str, says: str = "") -> Result:
    return CliRunner().invoke(app, [*arguments], input=says)


def refused(*arguments: str) -> str:
    done = run(*arguments)
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    return done.stderr


@pytest.mark.parametrize("how", ["name", "folder", "file", "address", "newest"])
def test_a_sweep_is_found_by_whatever_names_it(own: SweepFolder, how: str, tmp_path: Path) -> None:
    file = tmp_path / "my.yaml"
    file.write_text(f"{{name: own, storage: {own.path.parent}}}")
    name = {"name": "own", "folder": str(own.path), "file": str(file), "address": f"file://{own.path}"}.get(how)
    done = run("status", *([name] if name else []))
    assert done.stdout.startswith("own: 2 of 4 trials done (1 failed); nothing runs it\n"), done.output
    assert "full-002: after epoch 0 of 10" in done.stdout


def test_trials_that_the_file_no_longer_asks_for_are_left_out(own: SweepFolder, record_of: Make) -> None:
    storage = str(own.path.parent)
    own.records.write(record_of("l2-000", status="finished", results=RESULTS))
    settled(sweep_of(name="own", storage=storage, methods={"full": {"trials": 1}}), own)
    assert run("status", "own").stdout.startswith(
        "own: 1 of 1 trials done, 2 left out; nothing runs it\n  full  1 of 1"
    )
    assert run("list").stdout.startswith("own  1 of 1 trials done, 2 left out  ")
    status = json.loads(run("status", "own", "--json").stdout)
    assert (status["planned"], status["finished"], status["failed"], status["left_out"]) == (1, 1, 0, 2)


def test_a_storage_used_before_is_looked_in(tmp_path: Path, record_of: Make) -> None:
    make_sweep(tmp_path / "far", record_of)
    assert "no sweep 'own' in" in refused("status", "own")
    remember(UPath(tmp_path / "far"))
    assert run("status", "own").exit_code == 0


def test_several_of_a_name_are_refused_with_the_list(own: SweepFolder, tmp_path: Path, record_of: Make) -> None:
    other = make_sweep(tmp_path / "far", record_of)
    remember(UPath(tmp_path / "far"))
    said = refused("status", "own")
    assert f"several sweeps are called 'own': '{own.path}', '{other.path}'" in said
    assert [line.split()[0] for line in run("list").stdout.splitlines()] == ["own", "own"]


def test_unknown_names_have_a_hint(own: SweepFolder) -> None:
    assert "did you mean 'own'?" in refused("status", "owm")
    assert "did you mean 'full-00" in refused("show", "own", "full-00")
    assert "no readable record of a trial '../x'" in refused("show", "own", "../x")
    assert "has no sweep" in refused("status", "file:///nowhere")


def test_without_any_sweep(tmp_path: Path) -> None:
    assert run("list").stdout == "no sweeps in ./fpray-results, nor in a storage used before\n"
    assert "no sweeps in" in refused("status")


def test_json_for_scripts(own: SweepFolder) -> None:
    told = json.loads(run("status", "own", "--json").stdout)
    assert (told["planned"], told["finished"], told["failed"], told["run_by"]) == (4, 1, 1, None)
    assert told["studies"] == [{"name": "full", "planned": 4, "finished": 1, "failed": 1, "begun": 1}]
    assert told["begun"][0]["id"] == "full-002"
    (listed,) = json.loads(run("list", "--json").stdout)
    assert (listed["name"], listed["finished"]) == ("own", 1)
    assert json.loads(run("show", "own", "full-000", "--json").stdout)["status"] == "finished"


def test_a_folder_of_a_version_without_a_plan(own: SweepFolder) -> None:
    own.plan_file.unlink()
    assert run("status", "own").stdout.startswith("own: 2 trials done (1 failed)")


def test_a_trial_is_shown(own: SweepFolder) -> None:
    finished, failed = run("show", "own", "full-000").stdout, run("show", "own", "full-001").stdout
    assert "lr = 1e-05" in finished and "75.00 %  of 4" in finished
    assert f"folder: {own.path}/trials/full-000" in finished
    assert "full-001: failed" in failed and "  ValueError: no" in failed


def test_nothing_runs_so_nothing_is_stopped(own: SweepFolder) -> None:
    assert run("stop", "own").stdout == f"nothing runs '{own.path}'\n"
    assert not own.stop.is_made()


def test_who_runs_it_is_told_and_asked_to_stop(own: SweepFolder) -> None:
    with held(own.path):
        assert f"run by process {os.getpid()} on {socket.gethostname()}" in run("status", "own").stdout
        assert run("stop", "own").stdout.startswith(f"asked process {os.getpid()} on")
        assert own.stop.is_made()
        assert "already runs this sweep" in refused("delete", "own", "--yes")
    assert "nothing runs it" in run("status", "own").stdout


def test_a_command_that_was_killed_runs_nothing(own: SweepFolder) -> None:
    code = "import os, signal; from upath import UPath; from fpray.records import held\n"
    code += f"with held(UPath({str(own.path)!r})): os.kill(os.getpid(), signal.SIGKILL)"
    subprocess.run([sys.executable, "-c", code], check=False)
    assert (own.path / "holder.json").exists()
    assert "nothing runs it" in run("status", "own").stdout


def test_a_trial_is_deleted_when_asked_twice(own: SweepFolder) -> None:
    assert run("delete", "own", "full-001", says="n\n").exit_code == 1
    assert "full-001" in {record.trial.id for record in own.records.read_all()}
    done = run("delete", "own", "full-001", says="y\n")
    assert done.stdout.endswith("deleted full-001; the sweep's command makes it again\n")
    assert {record.trial.id for record in own.records.read_all()} == {"full-000", "full-002"}


def test_a_sweep_is_deleted(own: SweepFolder) -> None:
    assert "are still there" in run("delete", "own", "--yes").stdout
    assert not Path(own.path).exists()
    assert RecordStore(own.path).read_all() == []


def test_looking_needs_no_torch(own: SweepFolder) -> None:
    code = "import sys; from fpray.__main__ import app; app(['status', 'own'], standalone_mode=False); "
    code += "print([m for m in ('torch', 'ray', 'mlflow', 'optuna') if m in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "[]"
