"""A sweep goes on in MLflow as itself: moved, copied, begun by an earlier version, tried again with other values."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.tracking._tracking_service import utils
from upath import UPath

from fpray.records.record import Record
from fpray.report.report import make_report
from fpray.tracking.tracker import Tracker
from tests.tracking.following import RESULTS, SWEEP, epochs, follow, runs

Make = Callable[..., Record]


def track(storage: Path, records: list[Record], *, identity: str = "5eed", uri: str | None = None) -> None:
    """Track a sweep whose folder is in a storage folder, with a file for MLflow."""
    storage.mkdir(exist_ok=True)
    utils._artifact_repos_cache.clear()  # MLflow's, of a process: the command is a new one each time
    tracker = Tracker(SWEEP, UPath(storage) / SWEEP.name, identity, uri or uri_of(storage))
    for record in records:
        tracker.update(record)
    (storage / "fronts.png").write_bytes(b"a figure")
    assert tracker.close(make_report(SWEEP, records), [UPath(storage / "fronts.png")]) is None


def uri_of(storage: Path) -> str:
    return f"sqlite:///{storage}/mlflow.db"


def finished(make: Make, trial_id: str = "full-000", lr: float = 1e-5) -> Record:
    return make(trial_id, {"lr": lr}, history=epochs(2), status="finished", results=RESULTS, ended=1.8e9)


def artifacts_of(run: Run) -> Path:
    return Path(run.info.artifact_uri.removeprefix("file://"))


def test_a_moved_folder_goes_on_with_its_runs_and_writes_where_it_is(tmp_path: Path, record_of: Make) -> None:
    track(tmp_path / "here", [finished(record_of)])
    before = runs(uri_of(tmp_path / "here"))
    (tmp_path / "here").rename(tmp_path / "there")
    track(tmp_path / "there", [finished(record_of), finished(record_of, "full-001")])
    after = runs(uri_of(tmp_path / "there"))
    assert after.keys() == {"tracked", "full-000", "full-001"}
    assert all(after[name].info.run_id == before[name].info.run_id for name in before)
    assert not (tmp_path / "here").exists()
    for run in after.values():
        assert artifacts_of(run).is_relative_to(tmp_path / "there" / "mlartifacts")
    assert (artifacts_of(after["tracked"]) / "fronts.png").read_bytes() == b"a figure"
    assert after["tracked"].data.tags["fpray.folder"] == str(tmp_path / "there" / "tracked")


def test_a_copy_with_its_own_database_leaves_the_original_alone(tmp_path: Path, record_of: Make) -> None:
    track(tmp_path / "here", [finished(record_of)])
    shutil.copytree(tmp_path / "here", tmp_path / "copy")
    original = sorted(path for path in (tmp_path / "here").rglob("*") if path.suffix != ".lock")
    track(tmp_path / "copy", [finished(record_of), finished(record_of, "full-001")])
    assert sorted(path for path in (tmp_path / "here").rglob("*") if path.suffix != ".lock") == original
    assert runs(uri_of(tmp_path / "here")).keys() == {"tracked", "full-000"}
    assert runs(uri_of(tmp_path / "copy")).keys() == {"tracked", "full-000", "full-001"}


def test_a_database_elsewhere_keeps_the_places_of_other_storages(tmp_path: Path, record_of: Make) -> None:
    shared = f"sqlite:///{tmp_path}/shared.db"
    track(tmp_path / "a", [finished(record_of)], uri=shared)
    track(tmp_path / "b", [finished(record_of)], uri=shared, identity="0ther")
    client = MlflowClient(shared)
    experiment = client.get_experiment_by_name("tracked")
    assert experiment.artifact_location == (tmp_path / "a" / "mlartifacts").as_uri()


def test_two_ids_are_two_sweeps(tmp_path: Path, record_of: Make) -> None:
    uri = uri_of(tmp_path)
    track(tmp_path, [finished(record_of)], identity="5eed")
    track(tmp_path, [finished(record_of)], identity="0ther")
    client = MlflowClient(uri)
    found = client.search_runs([client.get_experiment_by_name("tracked").experiment_id])
    assert sorted(run.info.run_name for run in found) == ["full-000", "full-000", "tracked", "tracked"]


def test_a_trial_with_other_hyperparameters_is_a_new_run(tmp_path: Path, record_of: Make) -> None:
    """As after `--retry-failed` with another range, or where a trial's folder was removed."""
    failed = record_of("full-000", {"lr": 1e12}, status="failed", error="not finite", ended=1.7e9, attempt=1)
    track(tmp_path, [failed])
    first = runs(uri_of(tmp_path))["full-000"]
    track(tmp_path, [finished(record_of, lr=1e-4)])
    second = runs(uri_of(tmp_path))["full-000"]
    assert second.info.run_id != first.info.run_id
    assert (second.data.params["full.lr"], second.info.status) == ("0.0001", "FINISHED")
    assert second.data.metrics["test/id"] == 60
    assert MlflowClient(uri_of(tmp_path)).get_run(first.info.run_id).info.lifecycle_stage == "deleted"


def test_runs_that_an_earlier_version_began_keep_their_names(tmp_path: Path, record_of: Make) -> None:
    client = MlflowClient(uri_of(tmp_path))
    folder = str(tmp_path / "tracked")
    experiment = client.create_experiment("tracked", artifact_location=(tmp_path / "mlartifacts").as_uri())
    parent = client.create_run(experiment, tags={"fpray.sweep": folder}, run_name="tracked")
    assert follow(UPath(tmp_path), uri_of(tmp_path), [finished(record_of)]) is None
    found = runs(uri_of(tmp_path))
    assert found["tracked"].info.run_id == parent.info.run_id
    assert found["full-000"].data.params["lr"] == "1e-05"
    assert {"id/test/top1", "ood/test/top1", "id/val/top1"} <= found["full-000"].data.metrics.keys()
