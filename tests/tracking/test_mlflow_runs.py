"""The runs in MLflow: what is logged comes once, whatever happened before."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.environment_variables import (
    MLFLOW_ALLOW_PICKLE_DESERIALIZATION,
    MLFLOW_HTTP_REQUEST_MAX_RETRIES,
    MLFLOW_HTTP_REQUEST_TIMEOUT,
)
from upath import UPath

from fpray.records.record import Count, Record
from fpray.report.report import make_report
from fpray.tracking.tracker import PATIENCE_SECONDS
from tests.tracking.following import RESULTS, SWEEP, epochs, follow, history, runs, steps, tracker_of
from tests.waiting import wait_for


def test_what_mlflow_is_set_to() -> None:
    import_module("fpray.tracking.mlflow_runs")  # which sets it, and which another test may not have imported yet
    assert MLFLOW_HTTP_REQUEST_MAX_RETRIES.get() == 0
    assert not MLFLOW_ALLOW_PICKLE_DESERIALIZATION.get()
    assert 5 < MLFLOW_HTTP_REQUEST_TIMEOUT.get() < PATIENCE_SECONDS


def test_a_run_that_was_deleted_is_made_again(tmp_path: Path, record_of: Callable[..., Record]) -> None:
    uri, storage = f"sqlite:///{tmp_path}/mlflow.db", UPath(tmp_path)
    tracker = tracker_of(storage, uri)
    tracker.update(record_of("full-000", history=epochs(1)))
    wait_for((tmp_path / "mlflow.db").exists)  # a look at what isn't there would make it
    wait_for(lambda: any("epoch" in run.data.metrics for run in runs(uri).values()))
    MlflowClient(uri).delete_run(runs(uri)["full-000"].info.run_id)
    longer = record_of("full-000", history=epochs(2))
    tracker.update(longer)
    assert tracker.close(make_report(SWEEP, [longer]), []) is None
    assert steps(uri, "full-000", "lr") == [1, 2]


def test_a_trial_that_is_tried_again(tmp_path: Path, record_of: Callable[..., Record]) -> None:
    uri, storage = f"sqlite:///{tmp_path}/mlflow.db", UPath(tmp_path)
    running = record_of("full-000", history=epochs(1), attempt=1)
    failed = running.model_copy(update={"status": "failed", "error": "ValueError: first", "ended": 1.7e9})
    again = record_of("full-000", history=epochs(2), attempt=2)
    failed_again = again.model_copy(update={"status": "failed", "error": "ValueError: second", "ended": 1.8e9})
    last = record_of("full-000", history=epochs(3), attempt=3)
    finished = last.model_copy(update={"status": "finished", "results": RESULTS, "ended": 1.9e9})

    def after(*records: Record) -> tuple[str, str | None, int | None]:
        assert follow(storage, uri, list(records)) is None
        run = runs(uri)["full-000"]
        return run.info.status, run.data.tags.get("fpray.error"), run.info.end_time

    assert after(running, failed) == ("FAILED", "ValueError: first", int(1.7e12))
    assert after(again)[:2] == ("RUNNING", None)
    assert after(failed) == ("FAILED", "ValueError: first", int(1.7e12))
    # No tracker saw that it ran.
    assert after(failed_again) == ("FAILED", "ValueError: second", int(1.8e12))
    assert after(failed_again, last, finished) == ("FINISHED", None, int(1.9e12))
    assert steps(uri, "full-000", "loss/cross_entropy") == [1, 2, 3]
    assert steps(uri, "full-000", "test/id") == [3]


def test_no_point_comes_twice_when_a_trial_falls_back_or_is_done_again(
    tmp_path: Path, record_of: Callable[..., Record]
) -> None:
    uri, storage = f"sqlite:///{tmp_path}/mlflow.db", UPath(tmp_path)
    later = tuple(e.model_copy(update={"ended": e.ended + 1000, "lr": 0.2}) for e in epochs(4))
    first, fallen = record_of(history=epochs(3), attempt=1), record_of(history=later[:2], attempt=2)
    done = fallen.model_copy(update={"history": later, "status": "finished", "results": RESULTS, "ended": 1.8e9})
    assert follow(storage, uri, [first]) is None
    assert follow(storage, uri, [fallen, done]) is None
    assert runs(uri)["full-000"].info.status == "FINISHED"
    # Its record was lost.
    assert follow(storage, uri, [record_of(history=later[:1], attempt=1)]) is None
    assert runs(uri)["full-000"].info.status == "RUNNING"
    redone = done.model_copy(update={"attempt": 1, "ended": 1.9e9})
    assert follow(storage, uri, [redone]) is None
    run = runs(uri)["full-000"]
    assert (run.info.status, run.info.end_time) == ("FINISHED", int(1.9e12))
    for key in run.data.metrics:
        only_final = key.startswith("test/") or key == "val/ood/b"
        assert steps(uri, "full-000", key) == ([4] if only_final else [1, 2, 3, 4]), key
    assert [m.value for m in history(uri, "full-000", "lr")] == [0.1, 0.1, 0.1, 0.2]


def test_the_same_report_again_is_the_same_point(tmp_path: Path, record_of: Callable[..., Record]) -> None:
    done = record_of("full-000", status="finished", results=RESULTS, ended=time.time())
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    for _ in range(3):
        assert follow(UPath(tmp_path), uri, [done]) is None
    assert [(m.step, m.value) for m in history(uri, "tracked", "full/hypervolume")] == [(1, 2000)]
    # As many trials, run again, of which one gives something else.
    worse = done.model_copy(update={"results": RESULTS | {"id/test": Count(correct=55, total=100)}})
    assert follow(UPath(tmp_path), uri, [worse]) is None
    found = history(uri, "tracked", "full/hypervolume")
    assert [(m.step, m.value) for m in found] == [(1, 2000), (2, pytest.approx(1800))]
    assert runs(uri)["tracked"].data.metrics["full/hypervolume"] == pytest.approx(1800)


def test_folders_with_quotes_keep_to_their_own_runs(tmp_path: Path, record_of: Callable[..., Record]) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    for name in 2 * ("it's", "itXs", '"it\'s"'):
        done = record_of("full-000", {"of": name}, status="finished", results=RESULTS, ended=1.7e9)
        assert follow(UPath(tmp_path / name), uri, [done]) is None
    client = MlflowClient(uri)
    found = client.search_runs([client.get_experiment_by_name("tracked").experiment_id])
    assert sorted(run.data.params.get("full.of", "a parent") for run in found) == [
        '"it\'s"',
        "a parent",
        "a parent",
        "a parent",
        "it's",
        "itXs",
    ]


def test_an_empty_run_too_many_is_deleted(tmp_path: Path, record_of: Callable[..., Record]) -> None:
    uri, storage = f"sqlite:///{tmp_path}/mlflow.db", UPath(tmp_path)
    record = record_of("full-000", history=epochs(1))
    assert follow(storage, uri, [record]) is None
    before, client = runs(uri), MlflowClient(uri)
    for run in before.values():
        client.create_run(run.info.experiment_id, tags=run.data.tags, run_name=run.info.run_name)
    assert follow(storage, uri, [record]) is None
    assert {run.info.run_id for run in runs(uri).values()} == {run.info.run_id for run in before.values()}


def test_mlflows_file_is_there_whole_or_not_at_all(tmp_path: Path, record_of: Callable[..., Record]) -> None:
    """Killed while MLflow builds it, a command leaves no file that MLflow can't open any more."""
    (tmp_path / "mlflow.db.part").write_bytes(b"what a kill has left")
    seen: list[bool] = []

    def watch(over: threading.Event) -> None:
        while not over.wait(0.001):
            if (tmp_path / "mlflow.db").exists():
                with sqlite3.connect(tmp_path / "mlflow.db") as database:
                    seen.append(bool(database.execute("select * from alembic_version").fetchall()))
                return

    over = threading.Event()
    watching = threading.Thread(target=watch, args=(over,))
    watching.start()
    assert follow(UPath(tmp_path), f"sqlite:///{tmp_path}/mlflow.db", [record_of()]) is None
    watching.join(60)
    over.set()
    assert seen == [True]
    assert not (tmp_path / "mlflow.db.part").exists()


def test_runs_are_known_by_their_tags(tmp_path: Path, record_of: Callable[..., Record]) -> None:
    """A server has runs for years: how they are marked doesn't change."""
    uri, tag = f"sqlite:///{tmp_path}/mlflow.db", {"fpray.sweep": f"{tmp_path}/tracked"}
    client = MlflowClient(uri)
    experiment = client.create_experiment("tracked", artifact_location=(tmp_path / "artifacts").as_uri())
    parent = client.create_run(experiment, tags=tag, run_name="tracked").info.run_id
    tags = tag | {"fpray.trial": "full-000", "mlflow.parentRunId": parent}
    child = client.create_run(experiment, tags=tags, run_name="full-000").info.run_id
    assert follow(UPath(tmp_path), uri, [record_of("full-000", history=epochs(1))]) is None
    assert {name: run.info.run_id for name, run in runs(uri).items()} == {"tracked": parent, "full-000": child}
    assert runs(uri)["full-000"].data.metrics["epoch"] == 1
