from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from upath import UPath

from fpray.config import Sweep
from fpray.pretrained import Model
from fpray.records import Count, Epoch, Record
from fpray.report import make_report
from fpray.sweepfile import check_sweep
from fpray.tracking import Tracker, open_command, tracking_uri

SWEEP = check_sweep({"name": "tracked", "methods": {"full": {"trials": 2}}}, "s")


def epochs(count: int) -> tuple[Epoch, ...]:
    validation = {"id/val": Count(correct=5, total=10), "ood/a/val": Count(correct=4, total=10)}
    return tuple(
        Epoch(
            epoch=n, step=n, lr=0.1, losses={"cross_entropy": 1.0 / n}, validation=validation, images=10, seconds=1.0,
            validation_seconds=0.5,
            ended=1.7e9 + n,
        )
        for n in range(1, count + 1)
    )  # fmt: skip


RESULTS = {f"{d}/{p}": Count(correct=6, total=10) for d in ("id", "ood/a", "ood/b") for p in ("val", "test")}


def runs(uri: str) -> dict[str, Run]:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("tracked")
    found = client.search_runs([experiment.experiment_id])
    assert len({run.info.run_name for run in found}) == len(found), "a trial has two runs"
    return {run.info.run_name: run for run in found}


def follow(storage: UPath, uri: str, records: list[Record], sweep: Sweep = SWEEP) -> str | None:
    """One life of the command: its tracker is told the records, and closes with a report."""
    storage.mkdir(parents=True, exist_ok=True)
    tracker = Tracker(sweep, storage, storage / "tracked", uri)
    for record in records:
        tracker.note(record)
    figure = storage / "fronts.png"
    figure.write_bytes(b"a figure")
    return tracker.close(make_report(sweep, records), [figure])


def test_a_sweep_in_mlflow(tmp_path: Path, record_of: Callable[..., Record]) -> None:
    storage = UPath(tmp_path)
    uri = tracking_uri(SWEEP, storage)
    assert uri == f"sqlite:///{tmp_path}/mlflow.db"
    assert open_command(uri) == f"python -m mlflow ui --backend-store-uri {uri}"
    half_way = record_of("full-000", history=epochs(2))
    assert follow(storage, uri, [half_way]) is None
    assert runs(uri)["full-000"].info.status == "RUNNING"

    done = half_way.model_copy(
        update={"status": "finished", "history": epochs(3), "results": RESULTS, "ended": time.time()}
    )
    bad = record_of("full-001", status="failed", error="Traceback\nValueError: no", ended=time.time())
    # Twice: whatever is there already must not come again.
    for _ in range(2):
        assert follow(storage, uri, [done, bad]) is None
    found = runs(uri)
    assert set(found) == {"tracked", "full-000", "full-001"}
    parent, child, failed = found["tracked"], found["full-000"], found["full-001"]
    assert {run.info.run_name: run.info.status for run in found.values()} == {
        "tracked": "FAILED",
        "full-000": "FINISHED",
        "full-001": "FAILED",
    }
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert child.data.params == {"method": "full", "seed": "0", "lr": "1e-05"}
    assert child.data.metrics["id/test/top1"] == 60
    assert child.data.metrics["ood/test/top1"] == 60
    assert child.data.metrics["ood/b/test/top1"] == 60
    assert "ValueError: no" in failed.data.tags["fpray.error"]
    history = MlflowClient(uri).get_metric_history(child.info.run_id, "loss/cross_entropy")
    assert [(m.step, m.value) for m in history] == [(1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3))]
    assert parent.data.metrics["hypervolume/full"] == 3600
    assert parent.data.metrics["best_id/full"] == 60
    artifacts = [file.path for file in MlflowClient(uri).list_artifacts(parent.info.run_id)]
    assert artifacts == ["fronts.png"]


def test_models_are_told_where_there_are_several(tmp_path: Path, record_of: Callable[..., Record]) -> None:
    done = record_of("full-000", status="finished", results=RESULTS, ended=time.time())
    trial = done.trial.model_copy(update={"model": Model(name="any/small", pretrained="openai")})
    done, uri = done.model_copy(update={"trial": trial}), f"sqlite:///{tmp_path}/mlflow.db"
    assert follow(UPath(tmp_path), uri, [done]) is None
    assert "model" not in runs(uri)["full-000"].data.params
    models = {"name": ["any/small", "any/large"], "pretrained": "openai"}
    both = check_sweep({"name": "tracked", "methods": {"full": {"trials": 2}}, "model": models}, "s")
    assert follow(UPath(tmp_path), uri, [done], both) is None
    run = runs(uri)["full-000"]
    assert run.data.params == {"method": "full", "seed": "0", "lr": "1e-05", "model": "small"}
    assert (run.data.tags["fpray.model"], run.data.tags["fpray.pretrained"]) == ("any/small", "openai")
    assert runs(uri)["tracked"].data.metrics["best_id/full-small"] == 60


def test_a_server_that_is_away_is_a_problem_told_not_raised(
    tmp_path: Path, record_of: Callable[..., Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    problem = follow(UPath(tmp_path), "http://127.0.0.1:9", [record_of("full-000", history=epochs(1))])
    assert problem is not None
    assert "http://127.0.0.1:9" in problem
    # The same records, when MLflow is back: nothing is missing.
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    assert follow(UPath(tmp_path), uri, [record_of("full-000", history=epochs(1))]) is None
    assert runs(uri)["full-000"].data.metrics["epoch"] == 1


def test_a_record_noted_late_does_not_undo_the_end(tmp_path: Path, record_of: Callable[..., Record]) -> None:
    running = record_of("full-000", history=epochs(1), attempt=1)
    done = running.model_copy(update={"status": "finished", "results": RESULTS, "ended": time.time()})
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    storage = UPath(tmp_path)
    tracker = Tracker(SWEEP, storage, storage / "tracked", uri)
    for record in (running, done, running):
        tracker.note(record)
    assert tracker.close(make_report(SWEEP, [done]), []) is None
    assert runs(uri)["full-000"].info.status == "FINISHED"


def test_the_same_report_again_is_the_same_point(tmp_path: Path, record_of: Callable[..., Record]) -> None:
    done = record_of("full-000", status="finished", results=RESULTS, ended=time.time())
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    for _ in range(3):
        assert follow(UPath(tmp_path), uri, [done]) is None
    history = MlflowClient(uri).get_metric_history(runs(uri)["tracked"].info.run_id, "hypervolume/full")
    assert [m.value for m in history] == [3600]
