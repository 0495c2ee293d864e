"""The tracker: a sweep's records come to MLflow, and nothing that goes wrong there reaches the sweep."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from upath import UPath

from fpray.config.file import check_sweep
from fpray.model.names import Model
from fpray.records.record import Record
from fpray.report.report import make_report
from fpray.tracking import background
from fpray.tracking import tracker as tracking
from fpray.tracking.tracker import NoTracker, open_tracker, tracking_uri
from tests.tracking.following import RESULTS, SWEEP, epochs, follow, history, runs, tracker_of
from tests.waiting import wait_for


def test_a_sweep_in_mlflow(tmp_path: Path, record_of: Callable[..., Record]) -> None:
    storage = UPath(tmp_path)
    uri = tracking_uri(SWEEP, storage)
    assert uri == f"sqlite:///{tmp_path}/mlflow.db"
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
    assert child.data.params == {"method": "full", "seed": "0", "full.lr": "1e-05"}
    assert child.data.metrics["test/id"] == 60
    assert child.data.metrics["test/ood"] == 60
    assert child.data.metrics["test/ood/b"] == 60
    assert "ValueError: no" in failed.data.tags["fpray.error"]
    losses = history(uri, "full-000", "loss/cross_entropy")
    assert [(m.step, m.value) for m in losses] == [(1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3))]
    assert parent.data.metrics["full/hypervolume"] == 2000
    assert parent.data.metrics["full/id_val/test/id"] == 60
    assert parent.data.metrics["full/id_val/test/ood"] == 60
    artifacts = [file.path for file in MlflowClient(uri).list_artifacts(parent.info.run_id)]
    assert artifacts == ["fronts.png"]


def test_a_run_names_its_model_where_there_are_several(tmp_path: Path, record_of: Callable[..., Record]) -> None:
    done = record_of("full-000", status="finished", results=RESULTS, ended=time.time())
    trial = done.trial.model_copy(update={"model": Model(name="any/small", pretrained="openai")})
    done, uri = done.model_copy(update={"trial": trial}), f"sqlite:///{tmp_path}/mlflow.db"
    assert follow(UPath(tmp_path), uri, [done]) is None
    assert "model" not in runs(uri)["full-000"].data.params
    models = {"name": ["any/small", "any/large"], "pretrained": "openai"}
    both = check_sweep({"name": "tracked", "methods": {"full": {"trials": 2}}, "model": models}, "s")
    assert follow(UPath(tmp_path), uri, [done], both) is None
    run = runs(uri)["full-000"]
    assert run.data.params == {"method": "full", "seed": "0", "full.lr": "1e-05", "model": "small"}
    assert (run.data.tags["fpray.model"], run.data.tags["fpray.pretrained"]) == ("any/small", "openai")
    assert runs(uri)["tracked"].data.metrics["full-small/id_val/test/id"] == 60


def test_a_server_that_is_away_is_a_problem_named_without_its_password(
    tmp_path: Path, record_of: Callable[..., Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(tracking, "PATIENCE_SECONDS", 0.5)
        problem = follow(UPath(tmp_path), "http://me:hush@127.0.0.1:9", [record_of("full-000", history=epochs(1))])
    assert problem is not None
    assert problem.startswith("MLflow at http://***@127.0.0.1:9 is behind (")
    assert problem.endswith("; the same command catches it up")
    assert "hush" not in problem
    assert "\n" not in problem
    # The same records, when MLflow is back: nothing is missing.
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    assert follow(UPath(tmp_path), uri, [record_of("full-000", history=epochs(1))]) is None
    assert runs(uri)["full-000"].data.metrics["epoch"] == 1


def test_a_server_that_is_away_is_told_at_once_and_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_of: Callable[..., Record]
) -> None:
    monkeypatch.setattr(background, "RETRY_SECONDS", 0.1)
    said: list[str] = []
    (tmp_path / "mlflow.db").mkdir()
    tracker = open_tracker(SWEEP, UPath(tmp_path) / SWEEP.name, "5eed", said.append)
    wait_for(lambda: bool(said))  # no trial has begun yet
    assert said[0].startswith(f"note: MLflow at sqlite:///{tmp_path}/mlflow.db can't be reached (")
    (tmp_path / "mlflow.db").rmdir()
    assert tracker.close(make_report(SWEEP, []), []) is None
    assert [line.partition(" ")[0] for line in said[1:]] == ["MLflow:", "", "MLflow"]
    assert said[-1].endswith("answers again")


def test_a_record_that_mlflow_rejects_does_not_hold_up_the_others(
    tmp_path: Path, record_of: Callable[..., Record]
) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    bad = [record_of(f"full-00{n}", {"l;r": n}, history=epochs(1)) for n in (1, 2)]
    good = record_of("full-000", status="finished", results=RESULTS, ended=time.time())
    problem = follow(UPath(tmp_path), uri, [*bad, good])
    assert problem is not None
    assert problem.startswith(f"MLflow at {uri} does not take full-001 (")
    assert problem.endswith(", nor full-002")
    assert "l;r" in problem
    found = runs(uri)
    assert found["full-000"].info.status == "FINISHED"
    assert found["tracked"].info.status == "FINISHED"
    assert found["tracked"].data.metrics["full/hypervolume"] == 2000


def test_a_record_that_comes_late_does_not_undo_the_end(tmp_path: Path, record_of: Callable[..., Record]) -> None:
    running = record_of("full-000", history=epochs(1), attempt=1)
    done = running.model_copy(update={"status": "finished", "results": RESULTS, "ended": time.time()})
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    storage = UPath(tmp_path)
    tracker = tracker_of(storage, uri)
    earlier = running.model_copy(update={"attempt": 0, "status": "failed", "error": "an earlier one", "ended": 1.0})
    for record in (running, done, running, earlier):
        tracker.update(record)
    assert tracker.close(make_report(SWEEP, [done]), []) is None
    assert runs(uri)["full-000"].info.status == "FINISHED"


def test_what_has_come_is_logged_before_the_sweep_is_left(tmp_path: Path, record_of: Callable[..., Record]) -> None:
    uri, storage = f"sqlite:///{tmp_path}/mlflow.db", UPath(tmp_path)
    tracker = tracker_of(storage, uri)
    tracker.update(record_of("full-000", history=epochs(2)))
    tracker.leave(60)
    found = runs(uri)
    assert found["full-000"].data.metrics["epoch"] == 2
    assert found["tracked"].info.status == "RUNNING"


def test_a_sweep_is_tracked_as_its_file_says(tmp_path: Path, record_of: Callable[..., Record]) -> None:
    folder, said = UPath(tmp_path) / SWEEP.name, list[str]()
    untracked = open_tracker(SWEEP.model_copy(update={"tracking": None}), folder, "5eed", said.append)
    assert isinstance(untracked, NoTracker)
    untracked.update(record_of("full-000", history=epochs(1)))
    untracked.leave()
    assert untracked.close(make_report(SWEEP, []), []) is None
    assert untracked.pages is None
    assert list(tmp_path.iterdir()) == []
    tracked = open_tracker(SWEEP, folder, "5eed", said.append)
    assert tracked.close(make_report(SWEEP, []), []) is None
    assert said[0].startswith(f"MLflow: python -m mlflow ui --backend-store-uri sqlite:///{tmp_path}/mlflow.db")
    assert tracked.pages is not None and tracked.pages.lines() == said
    assert list(runs(f"sqlite:///{tmp_path}/mlflow.db")) == ["tracked"]
