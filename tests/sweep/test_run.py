"""The command as a user runs it: mistakes, a whole small sweep, kills, and the same command again."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml
from click.testing import Result
from mlflow import MlflowClient
from typer.testing import CliRunner
from upath import UPath

from fpray.methods import METHODS
from fpray.records import Record, SweepFolder
from fpray.sweep.__main__ import app
from tests.report.test_files import FILES
from tests.sweeps import records_in
from tests.waiting import wait_for

TRIED = [name for name in METHODS if name != "model_stock"]  # which takes two seeds
SMALL: dict[str, Any] = {
    "name": "small",
    "data": {"train_images": 120, "rehearsal": {"source": "pretraining"}},
    "train": {"epochs": 3, "batch_size": 40, "lr": {"log": [1e-4, 1e-3]}, "warmup_steps": 2, "alphas": 3},
    "methods": {name: {"trials": 1} for name in TRIED} | {"full": {"trials": 2}, "wise_ft": {"trials": 3}},
}
TRIALS = len(TRIED) + 3


@dataclass(frozen=True)
class Whole:
    """A sweep that ran through by the command: its file, what it printed, and what a second command got meanwhile."""

    file: Path
    process: int
    out: str
    second: Result

    @property
    def folder(self) -> Path:
        return self.file.parent / "whole" / "small"


@pytest.fixture(scope="module")
def sweep_file(tmp_path_factory: pytest.TempPathFactory, tiny_clip: str) -> Callable[..., Path]:
    """Writes the small sweep's file for a storage folder of its own."""
    parent = tmp_path_factory.mktemp("sweeps")

    def write(storage: str, **changes: object) -> Path:
        methods = SMALL["methods"] | {"given": {"checkpoint": tiny_clip.removeprefix("local-dir:")}}
        own = {"model": {"name": tiny_clip}, "storage": str(parent / storage), "methods": methods}
        content = SMALL | own | changes
        path = parent / f"{storage}.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return write


@pytest.fixture(scope="module")
def whole(sweep_file: Callable[..., Path]) -> Whole:
    """As a user runs it, with a Ray of its own."""
    file = sweep_file("whole")
    call = [sys.executable, "-m", "fpray.sweep", str(file)]
    with subprocess.Popen(
        call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=file.parent
    ) as process:
        held = file.parent / "whole" / "small" / "holder.json"
        assert wait_for(held.exists, lambda: process.poll() is None), process.communicate()
        second = run(file)
        out, err = process.communicate()
    assert process.returncode == 0, err + out
    return Whole(file, process.pid, out, second)


def run(file: Path, *options: str) -> Result:
    """The command in this process; a Ray that is here already is the one it runs on."""
    return CliRunner().invoke(app, [str(file), *options])


@pytest.fixture(scope="module")
def ray_here() -> Iterator[None]:
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield
    ray.shutdown()


def test_every_trial_finishes_and_leaves_its_files(whole: Whole) -> None:
    folder = whole.folder
    records = records_in(folder)
    assert len(records) == TRIALS
    assert {r.status for r in records.values()} == {"finished"}, [r.error for r in records.values()]
    for trial_id, record in records.items():
        left = {path.name for path in (folder / "trials" / trial_id).iterdir()}
        assert left == {"record.json", "weights.safetensors", "images.npz"}
        assert {"id/val", "id/test", "ood/sketch/val", "ood/quickdraw/test"} <= set(record.results)
        assert record.movement is not None
        assert record.provenance is not None
    assert records["zero_shot-000"].movement.distance == 0
    assert records["zero_shot-000"].movement.cka["id/val"] == pytest.approx(1)
    assert records["full-000"].movement.distance > 0


def test_the_end_shows_the_methods_and_how_to_open_mlflow(whole: Whole) -> None:
    for word in (*TRIED, "picked by", "knee", f"[{TRIALS}/{TRIALS}]"):
        assert word in whole.out
    assert f"python -m mlflow ui --backend-store-uri sqlite:///{whole.file.parent}/whole/mlflow.db" in whole.out


def test_the_report_is_there(whole: Whole) -> None:
    folder = whole.folder / "report"
    names = {path.name for path in folder.iterdir()}
    assert names == {f"front-{name}.json" for name in TRIED} | FILES
    assert json.loads((folder / "front-full.json").read_text())["finished"] == 2


def mlflow_runs(file: Path) -> dict[str, str]:
    """Status by name of all the runs of a sweep; a name must not come twice."""
    client = MlflowClient(f"sqlite:///{file.parent}/{file.stem}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("small").experiment_id])
    names = [run.info.run_name for run in runs]
    assert len(names) == len(set(names)), sorted(names)
    return {run.info.run_name: run.info.status for run in runs}


def test_mlflow_has_one_finished_run_a_trial_and_a_parent(whole: Whole) -> None:
    expected = {*records_in(whole.folder), "small"}
    assert mlflow_runs(whole.file) == dict.fromkeys(expected, "FINISHED")
    client = MlflowClient(f"sqlite:///{whole.file.parent}/whole/mlflow.db")
    experiment = client.get_experiment_by_name("small").experiment_id
    (parent,) = client.search_runs([experiment], "attributes.run_name = 'small'")
    assert {f"{name}/knee/test/{part}" for name in TRIED for part in ("id", "ood")} <= set(parent.data.metrics)
    artifacts = {artifact.path for artifact in client.list_artifacts(parent.info.run_id)}
    assert {"report.html", "fronts.png", "front-full.json"} <= artifacts
    (full,) = client.search_runs([experiment], "attributes.run_name = 'full-000'")
    assert {"val/id", "test/ood/sketch", "test/ood", "loss/cross_entropy"} <= set(full.data.metrics)
    assert {"method", "seed", "full.lr"} <= set(full.data.params)


def points_in(folder: Path) -> dict[str, Record]:
    return {record.trial.id: record for record in SweepFolder(UPath(folder)).points.records.read_all()}


def test_the_fronts_of_curves_are_evaluated_on_test_images(whole: Whole) -> None:
    report, points = json.loads((whole.folder / "report" / "report.json").read_text()), points_in(whole.folder)
    curves = {method["method"]: method["curve"] for method in report["methods"] if "curve" in method}
    trained = {record.trial.method for record in records_in(whole.folder).values() if record.history}
    assert curves.keys() == trained
    assert all(point["test"] is not None for curve in curves.values() for point in curve)
    between = [point for curve in curves.values() for point in curve if point["alpha"] < 1]
    assert len(between) == len(points) > 0
    assert {r.status for r in points.values()} == {"finished"}, [r.error for r in points.values()]
    assert f"[{len(points)}/{len(points)}] " in whole.out


@pytest.mark.usefixtures("ray_here")
def test_a_point_that_is_missing_is_evaluated_again_and_no_other(whole: Whole) -> None:
    before = points_in(whole.folder)
    files = {path: path.read_text() for path in whole.folder.glob("*/trials/*/record.json")}
    lost, report = next(iter(before)), (whole.folder / "report" / "report.json").read_text()
    shutil.rmtree(whole.folder / "points" / "trials" / lost)
    again = run(whole.file)
    assert again.exit_code == 0, again.output
    assert f"[{len(before)}/{len(before)}] " in again.stdout and f"/{TRIALS}]" not in again.stdout
    assert points_in(whole.folder)[lost].results == before[lost].results
    assert (whole.folder / "report" / "report.json").read_text() == report
    assert all(path.read_text() == text for path, text in files.items() if path.parent.name != lost)


@pytest.mark.usefixtures("ray_here")
def test_again_runs_nothing_and_more_trials_only_those(whole: Whole) -> None:
    before = {path: path.read_text() for path in whole.folder.glob("trials/*/record.json")}
    again = run(whole.file)
    assert again.exit_code == 0
    assert f"/{TRIALS}]" not in again.stdout
    more = run(whole.file, "--set", "methods.l2.trials=2")
    assert more.exit_code == 0, more.output
    assert {path: path.read_text() for path in before} == before
    assert set(records_in(whole.folder)) == {path.parent.name for path in before} | {"l2-001"}
    assert set(mlflow_runs(whole.file)) == {*records_in(whole.folder), "small"}


def test_a_second_command_is_refused_and_the_first_goes_on(whole: Whole) -> None:
    assert whole.second.exit_code == 2
    assert f"process {whole.process} on " in whole.second.stderr
    assert len(whole.second.stderr.strip().splitlines()) == 1


@pytest.mark.usefixtures("ray_here")
def test_more_gpus_than_there_are(sweep_file: Callable[..., Path]) -> None:
    file = sweep_file("gpus", resources={"gpus": 1, "workers": 20})
    refused = run(file)
    assert refused.exit_code == 2
    assert refused.stderr.startswith("fpray: ")
    assert re.search(r"ask for {gpus: 0, workers: \d+}, or add nodes$", refused.stderr.strip())
    assert "a trial needs 20 worker(s) with 1 CPU(s) and 1 GPU(s)" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    assert not (file.parent / "gpus" / "small" / "trials").exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "can't read the sweep file"),
        ("name: a\ntrain: {epochs: 3\nmethods: x", "line 3: not valid YAML"),
        ("train: {epoch: 3}", "did you mean 'epochs'?"),
        ("methods: {l3: {}}", "unknown key 'l3'; did you mean 'l2'?"),
        ("methods: {l2: {strength: {uniform: [2, 1]}}}", "range [2, 1] is empty"),
        ("methods: {l2: {strength: {log: [0, 1]}}}", "touches 0"),
        ("methods: {full: {}, wise_ft: {alpha: {uniform: [0, 2]}}}", "2.0 is not allowed"),
        ("methods: {wise_ft: {of: [l1]}}", "'l1' is not among the sweep's methods"),
        ("model: {name: ViT-B-61, pretrained: openai}", "did you mean 'ViT-B-16'?"),
        ("storage: FILE/below", "can't write to"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(tmp_path: Path, text: str | None, says: str) -> None:
    file = tmp_path / "wrong.yaml"
    if text is not None:
        file.write_text(text.replace("FILE", str(file)))
    done = CliRunner().invoke(app, [str(file)])
    assert done.exit_code == 2
    assert says in done.stderr
    assert done.stderr.startswith("fpray: ")
    assert len(done.stderr.strip().splitlines()) == 1


def test_dry_run_shows_the_resolved_file_and_starts_nothing(tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    done = CliRunner().invoke(app, ["--dry-run", "--set", f"storage={storage}", "--set", "train.epochs=7"])
    assert done.exit_code == 0
    assert "epochs: 7" in done.stdout
    assert "trials: zero_shot 1" in done.stdout
    assert f"GB of weights in '{storage}'" in done.stdout
    assert not storage.exists()
