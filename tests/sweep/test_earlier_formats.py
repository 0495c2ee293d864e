"""Folders that earlier versions left: their records and files are read, and go on; the command goes on with them too,
unless their images had other pixels."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

import fpray
from fpray.config import Sweep, read_content, read_sweep
from fpray.data.layouts.drawnet import DRAWNET_TEMPLATES
from fpray.errors import UserError
from fpray.records import Record
from fpray.report import make_report
from fpray.search import Schedule
from fpray.sweep import run_sweep, sweep_for_its_folder
from fpray.testing import make_tiny_clip
from tests import sweeps

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """A folder with the sweeps' folders in `results`, as format 1 left them, and their models beside."""
    shutil.copytree(FIXTURES / "format-1", tmp_path / "results")
    for path in (tmp_path / "results").rglob("*"):
        if path.suffix in (".json", ".yaml"):
            path.write_text(path.read_text().replace("/FOLDER", str(tmp_path)))
    for name in ("tiny", "other"):
        (tmp_path / name).mkdir()
        make_tiny_clip(tmp_path / name)
    return tmp_path


def sweep_of(folder: Path, name: str, **changes: object) -> Sweep:
    """The sweep of a folder, by the resolved file there, with other sections; as the command reads it."""
    path = folder / "results" / name / "sweep.yaml"
    return sweep_for_its_folder(read_content(path) | changes, path)[0]


def records_in(folder: Path, name: str) -> dict[str, Record]:
    return sweeps.records_in(folder / "results" / name)


def test_a_sweep_of_format_1_goes_on_and_is_extended(earlier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_all_styles = ("an infograph with a {}.", "a painting of a {}.")
    prompts = (*DRAWNET_TEMPLATES[:4], *of_all_styles, *DRAWNET_TEMPLATES[4:])  # as DrawNet's were then
    monkeypatch.setattr("fpray.data.layouts.drawnet.DRAWNET_TEMPLATES", prompts)
    interrupted = earlier / "results" / "seeds" / "trials" / "l2-000-s0" / "record.json"
    content = json.loads(interrupted.read_text())
    del content["trial"]["model"]  # as records were before a sweep could have several
    interrupted.write_text(json.dumps(content))
    before = records_in(earlier, "seeds")
    assert sorted((r.trial.id, r.status, len(r.history)) for r in before.values()) == [
        ("full-000-s0", "finished", 3),
        ("l2-000-s0", "running", 2),
        ("zero_shot-000-s0", "finished", 0),
    ]
    sweeps.run_here(sweep_of(earlier, "seeds"))
    after = records_in(earlier, "seeds")
    expected = json.loads((FIXTURES / "format-1" / "seeds-whole.json").read_text())
    assert after.keys() == expected.keys()
    for trial_id, record in after.items():
        source = {"source": record.trial.sources[0]} if record.trial.sources else {}
        assert source | record.trial.params == expected[trial_id]["params"]
        assert [epoch.losses for epoch in record.history] == [
            pytest.approx(losses, rel=1e-4) for losses in expected[trial_id]["losses"]
        ]
        # On another machine sums differ in their last bits, and an image or two at the border of two classes.
        counts = {split: count.correct for split, count in record.results.items()}
        assert counts == pytest.approx(expected[trial_id]["results"], abs=2)
    for trial_id in ("full-000-s0", "zero_shot-000-s0"):
        assert after[trial_id] == before[trial_id], "a trial that had ended was touched"
    assert after["l2-000-s0"].history[:2] == before["l2-000-s0"].history
    written = json.loads((earlier / "results" / "seeds" / "trials" / "l2-000-s0" / "record.json").read_text())
    assert written["format"] == 2

    longer = yaml.safe_load((earlier / "results" / "seeds" / "sweep.yaml").read_text())["methods"]
    longer |= {"kd": {"trials": 1}, "wise_ft": longer["wise_ft"] | {"trials": 3}}
    sweeps.run_here(sweep_of(earlier, "seeds", methods=longer))
    extended = records_in(earlier, "seeds")
    assert extended.keys() - after.keys() == {f"{name}-s{s}" for name in ("kd-000", "wise_ft-002") for s in (0, 1)}
    assert {trial_id: extended[trial_id] for trial_id in after} == after


def test_a_search_over_models_of_format_1_is_complete_and_is_extended(earlier: Path) -> None:
    before = records_in(earlier, "models")
    assert all("model" not in r.trial.params and "source" not in r.trial.params for r in before.values())
    assert before["wise_ft-000"].trial.sources == ("full-001",)
    sweep = sweep_of(earlier, "models")
    assert Schedule(sweep, before.values()).complete
    report = make_report(sweep, list(before.values()))
    shown = {point.name: point.params for point in report.points}
    assert shown["wise_ft-000"] == {"source": "full-001", "alpha": 0.1726736132952873, "model": "tiny"}
    assert shown["full-000"] == {"model": "other", "lr": 0.0008235650129986115}

    methods = yaml.safe_load((earlier / "results" / "models" / "sweep.yaml").read_text())["methods"]
    longer = sweep_of(earlier, "models", methods=methods | {"wise_ft": methods["wise_ft"] | {"trials": 4}})
    sweeps.run_here(longer)
    extended = records_in(earlier, "models")
    assert {trial_id: extended[trial_id] for trial_id in before} == before
    new = [extended[f"wise_ft-00{number}"] for number in (2, 3)]
    for record in new:
        assert record.trial.model == extended[record.trial.sources[0]].trial.model
        assert record.status == "finished"


def test_a_sweep_of_other_pixels_is_read_and_not_extended(earlier: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refusal = r"has trials of an earlier fpray, whose images differ from this one's by rounding; .* another name"
    with pytest.raises(UserError, match=refusal):
        run_sweep(sweep_of(earlier, "seeds"))
    assert run_sweep(sweep_of(earlier, "models")) == 0
    assert "records and report: " in capsys.readouterr().out
    found = fpray.load(str(earlier / "results" / "models"))
    assert len(found.frame()) == len(found.records)


def test_a_sweep_file_of_format_1_reads_as_todays(earlier: Path, tmp_path: Path) -> None:
    path = earlier / "results" / "seeds" / "sweep.yaml"
    assert "optimizer: adamw" in path.read_text()
    assert read_sweep(path).train.epochs == 3
    written = path.read_text()
    for wrong in (written.replace("optimizer: adamw", "optimizer: sgd"), f"format: 2\n{written}"):
        path.write_text(wrong)
        with pytest.raises(UserError, match=r"train: unknown key 'optimizer'"):
            read_sweep(path)


def test_what_a_newer_version_wrote_is_refused_and_not_called_damaged(earlier: Path) -> None:
    sweep, folder = sweep_of(earlier, "seeds"), earlier / "results" / "seeds"
    path = folder / "trials" / "full-000-s0" / "record.json"
    whole = path.read_text()
    path.write_text(json.dumps({"format": 3, "trial": "who knows"}))
    with pytest.raises(UserError, match=r"record.json' was written by a newer fpray, in format 3, .*; update fpray"):
        run_sweep(sweep)
    path.write_text(whole)
    (folder / "sweep.yaml").write_text("format: 3\nnothing: as it was\n")
    with pytest.raises(UserError, match=r"sweep.yaml' was written by a newer fpray, in format 3"):
        run_sweep(sweep)
