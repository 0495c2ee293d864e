"""A sweep with a plug-in, as a user runs it: trials train with it in Ray's processes, and records say which it was."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from upath import UPath

from fpray.config import read_sweep
from fpray.config.file import check_sweep
from fpray.errors import UserError
from fpray.records import Provenance, Record, RecordStore, SweepFolder, Trial
from fpray.report import make_report
from fpray.search import Schedule
from fpray.sweep.settling import changed_plugins, settled_before
from tests.sweeps import settled

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, "-m", "fpray", *map(str, arguments)]
    return subprocess.run(call, capture_output=True, text=True, timeout=300)


@pytest.fixture
def file(tmp_path: Path, tiny_clip: str) -> Path:
    """A sweep file with the worked example of a method beside it."""
    shutil.copy(EXAMPLES / "digrap.py", tmp_path)
    content = {
        "name": "own",
        "plugins": ["digrap.py"],
        "model": {"name": tiny_clip},
        "data": {"train_images": 80},
        "train": {"epochs": 1, "batch_size": 40, "lr": 1e-3, "alphas": 0},
        "methods": {"zero_shot": {}, "digrap": {"trials": 2}},
        "storage": str(tmp_path / "results"),
        "tracking": None,
    }
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.long
def test_a_sweep_of_a_method_outside_the_package(file: Path) -> None:
    assert run("check", file).returncode == 0
    ended = run("sweep", file)
    assert ended.returncode == 0, ended.stderr
    folder = file.parent / "results" / "own"
    sha256 = hashlib.sha256((file.parent / "digrap.py").read_bytes()).hexdigest()
    records = RecordStore(UPath(folder)).read_all()
    assert [r.trial.id for r in records if r.status == "finished"] == ["digrap-000", "digrap-001", "zero_shot-000"]
    for record in records[:2]:
        assert record.history[0].losses.keys() == {"cross_entropy"}
        assert record.provenance is not None and record.provenance.plugins == {"digrap.py": sha256}
    assert yaml.safe_load((folder / "sweep.yaml").read_text())["plugins"] == [
        {"file": str(file.parent / "digrap.py"), "sha256": sha256}
    ]
    # A changed plug-in is told, since the records are of the one before.
    (file.parent / "digrap.py").write_text((file.parent / "digrap.py").read_text() + "# changed\n")
    again = run("sweep", file)
    assert again.returncode == 0, again.stderr
    assert "note: digrap.py has changed since digrap-000, digrap-001 ran with it; they stay as they are" in again.stdout


def test_a_folder_that_names_a_plug_in_runs_none_of_it(tmp_path: Path) -> None:
    """The sweep's folder came from elsewhere: what it says is a plug-in must not run when the folder is read."""
    trap, evil = tmp_path / "executed", tmp_path / "evil.py"
    evil.write_text(f"open({str(trap)!r}, 'w')\n")
    sweep = check_sweep({"name": "s", "methods": {"full": {"trials": 1}}}, "s")
    folder = SweepFolder(UPath(tmp_path / "s"))
    trial = Trial(id="full-000", method="full", number=0, seed=0, params={"lr": 1e-4})
    provenance = Provenance(versions={}, commit=None, device="cpu", plugins={str(evil): "0"})
    folder.records.write(Record(trial=trial, started=1.0, provenance=provenance))
    settled(sweep, folder)
    resolved = yaml.safe_load(folder.sweep_file.read_text()) | {"plugins": [str(evil)]}
    folder.sweep_file.write_text(yaml.safe_dump(resolved))
    assert settled_before(folder) == {"batch_size": 512}
    records = folder.records.read_all()
    assert make_report(sweep, Schedule(sweep, records).wanted()).methods[0].finished == 0
    assert changed_plugins(sweep, records) == []
    settled(sweep, folder)
    assert not trap.exists()
    # A file that is given on the command line is the user's word.
    file = tmp_path / "given.yaml"
    file.write_text(yaml.safe_dump(resolved))
    with pytest.raises(UserError, match="has no method and no layout"):
        read_sweep(file)
    assert trap.exists()
