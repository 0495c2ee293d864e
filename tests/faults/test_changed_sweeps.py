"""A sweep whose file, images or place have changed since its trials ran: told, refused, or gone on with as itself."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
import yaml
from click.testing import Result
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.tracking._tracking_service import utils
from typer.testing import CliRunner

from fpray.__main__ import app
from tests.data.trees import domains, picture
from tests.sweeps import records_in

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("ray_here")]


@pytest.fixture(scope="module")
def ray_here() -> Iterator[None]:
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield
    ray.shutdown()


@pytest.fixture
def write(tmp_path: Path, tiny_clip: str) -> Callable[..., Path]:
    """Writes the sweep's file anew, over images of its own."""
    (tmp_path / "images").mkdir()
    data = domains(tmp_path / "images")

    def write(lr: Any, trials: int = 1, **sections: Any) -> Path:
        file = tmp_path / "work" / "own.yaml"
        file.parent.mkdir(exist_ok=True)
        content = {"model": {"name": tiny_clip}, "data": data, "storage": str(tmp_path / "work" / "results")}
        content["train"] = {"epochs": 1, "batch_size": 20, "warmup_steps": 0, "alphas": 0}
        content["methods"] = {"full": {"lr": lr} | ({"trials": trials} if isinstance(lr, dict) else {})}
        file.write_text(yaml.safe_dump(content | sections))
        return file

    return write


def run(file: Path, *options: str) -> Result:
    utils._artifact_repos_cache.clear()  # MLflow's, of a process: the command is a new one each time
    return CliRunner().invoke(app, ["sweep", str(file), *options])


def complete(file: Path, *options: str) -> str:
    done = run(file, *options)
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(file: Path, *options: str) -> str:
    done = run(file, *options)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1), done.output
    return done.stderr


def mlflow_runs(storage: Path) -> dict[str, Run]:
    """The runs of the sweep by name, of which each is there once."""
    client = MlflowClient(f"sqlite:///{storage}/mlflow.db")
    found = client.search_runs([client.get_experiment_by_name("own").experiment_id])
    assert len({run.info.run_name for run in found}) == len(found)
    return {run.info.run_name: run for run in found}


WIDE, OTHER = {"log": [1e-5, 1e-3]}, {"log": [1e-4, 1e-2]}


def test_a_changed_range_is_told_and_the_trial_keeps_its_own(write: Callable[..., Path], tmp_path: Path) -> None:
    complete(write(WIDE))
    folder = tmp_path / "work" / "results" / "own"
    before = (folder / "trials" / "full-000" / "record.json").read_bytes()
    said = complete(write(OTHER, trials=2))
    assert "note: full.trials was 1, is 2" in said
    told = "full.lr was log [1e-05, 0.001], is log [0.0001, 0.01]: the finished trial full-000 keeps its own"
    assert f"note: {told}" in said
    assert said.index(told) < said.index("[2/2]")
    assert (folder / "trials" / "full-000" / "record.json").read_bytes() == before
    assert {r.trial.id: r.start for r in records_in(folder).values()} == {"full-000": 1, "full-001": 2}
    assert "[1.0e-05, 0.001]" in (folder / "starts" / "0001.yaml").read_text()
    assert (folder / "starts" / "0002.yaml").read_text() == (folder / "sweep.yaml").read_text()


def test_a_constant_that_the_trial_contradicts_is_refused(write: Callable[..., Path], tmp_path: Path) -> None:
    complete(write(WIDE))
    accepted = (tmp_path / "work" / "results" / "own" / "sweep.yaml").read_text()
    assert "full.lr is 1e-05, but the finished trial full-000 ran with" in refused(write(1e-5))
    assert (tmp_path / "work" / "results" / "own" / "sweep.yaml").read_text() == accepted


def test_changed_images_are_refused_until_they_are_put_back(write: Callable[..., Path], tmp_path: Path) -> None:
    complete(write(WIDE))
    more = tmp_path / "images" / "sketch" / "dog" / "new.png"
    picture("new").save(more)
    assert "has trials of other data: ood/sketch/" in refused(write(WIDE, trials=2))
    more.unlink()
    complete(write(WIDE, trials=2))


def test_a_failed_trial_is_tried_again_with_what_the_file_says_now(write: Callable[..., Path], tmp_path: Path) -> None:
    failed = run(write(1e12))
    assert failed.exit_code == 1, failed.output
    assert "once you have changed what made them fail, the same command with --retry-failed" in failed.stdout
    said = complete(write(1e-4), "--retry-failed")
    assert "note: full-000 is tried again with lr=0.0001; it failed with lr=1e+12" in said
    storage = tmp_path / "work" / "results"
    record = records_in(storage / "own")["full-000"]
    assert (record.status, record.trial.params, record.start) == ("finished", {"lr": 1e-4}, 2)
    tried = mlflow_runs(storage)["full-000"]
    assert (tried.info.status, tried.data.params["full.lr"]) == ("FINISHED", "0.0001")


def test_a_moved_folder_goes_on_where_it_is(write: Callable[..., Path], tmp_path: Path) -> None:
    complete(write(WIDE))
    before = mlflow_runs(tmp_path / "work" / "results")
    (tmp_path / "work").rename(tmp_path / "moved")
    file = write(WIDE, trials=2)
    moved = tmp_path / "moved" / "own.yaml"
    moved.write_text(file.read_text().replace(f"{tmp_path}/work/", f"{tmp_path}/moved/"))
    shutil.rmtree(tmp_path / "work")
    complete(moved)
    after = mlflow_runs(tmp_path / "moved" / "results")
    assert after.keys() == {"own", "full-000", "full-001"}
    assert {name: run.info.run_id for name, run in before.items()}.items() <= {
        name: run.info.run_id for name, run in after.items()
    }.items()
    assert not (tmp_path / "work").exists()
    (report,) = (tmp_path / "moved" / "results" / "mlartifacts").rglob("report.json")
    assert "full-001" in report.read_text()


def test_a_copy_goes_on_beside_the_original(write: Callable[..., Path], tmp_path: Path) -> None:
    complete(write(WIDE))
    shutil.copytree(tmp_path / "work", tmp_path / "copy")
    copy = tmp_path / "copy" / "own.yaml"
    copy.write_text(write(WIDE, trials=2).read_text().replace(f"{tmp_path}/work/", f"{tmp_path}/copy/"))
    complete(copy)
    assert mlflow_runs(tmp_path / "work" / "results").keys() == {"own", "full-000"}
    assert mlflow_runs(tmp_path / "copy" / "results").keys() == {"own", "full-000", "full-001"}


def test_a_copy_whose_runs_are_on_a_shared_server_gets_runs_of_its_own(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    shared = {"tracking": {"uri": f"sqlite:///{tmp_path}/shared.db"}}
    complete(write(WIDE, **shared))
    shutil.copytree(tmp_path / "work", tmp_path / "copy")
    copy = tmp_path / "copy" / "own.yaml"
    copy.write_text(write(WIDE, trials=2, **shared).read_text().replace(f"{tmp_path}/work/", f"{tmp_path}/copy/"))
    assert f"note: this folder is a copy of '{tmp_path}/work/results/own'" in complete(copy)
    client = MlflowClient(f"sqlite:///{tmp_path}/shared.db")
    found = client.search_runs([client.get_experiment_by_name("own").experiment_id])
    assert sorted(run.info.run_name for run in found) == ["full-000", "full-000", "full-001", "own", "own"]
    assert "copy of" not in complete(copy)


def test_the_same_command_from_elsewhere_says_that_it_is_a_new_sweep(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FPRAY_STATE", str(tmp_path / "state"))
    file = write(WIDE, storage="fpray-results")
    for name in ("here", "elsewhere"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        said = complete(file)
        assert "sweep own in fpray-results/own, which is new" in said
    assert f"(another of that name is in '{tmp_path}/here/fpray-results/own')" in said


def test_without_an_hour_no_trial_begins_and_all_is_left_to_do(write: Callable[..., Path], tmp_path: Path) -> None:
    done = run(write(WIDE), "--hours", "0")
    assert done.exit_code == 3, done.output
    assert (
        "no other trial ends within 0 hours: 0 of 1 trials are done; the same command goes on from here" in done.stdout
    )
    complete(write(WIDE))
    status = CliRunner().invoke(app, ["status", str(tmp_path / "work" / "own.yaml")]).stdout
    assert status.startswith("own: 1 of 1 trials done; nothing runs it")
