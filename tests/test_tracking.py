from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Run
from mlflow.environment_variables import (
    MLFLOW_ALLOW_PICKLE_DESERIALIZATION,
    MLFLOW_HTTP_REQUEST_MAX_RETRIES,
    MLFLOW_HTTP_REQUEST_TIMEOUT,
)
from upath import UPath

from fpray import tracking
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
    if experiment is None:
        return {}
    found = client.search_runs([experiment.experiment_id])
    assert len({run.info.run_name for run in found}) == len(found), "a trial has two runs"
    return {run.info.run_name: run for run in found}


def history(uri: str, name: str, key: str) -> list[Metric]:
    found = MlflowClient(uri).get_metric_history(runs(uri)[name].info.run_id, key)
    return sorted(found, key=lambda m: (m.step, m.timestamp))


def points(uri: str, name: str, key: str) -> list[int]:
    """The steps of a metric's points, in order."""
    return [metric.step for metric in history(uri, name, key)]


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline


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


def test_a_server_that_is_away_is_a_problem_told_without_its_password(
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


def test_how_to_open_mlflow_shows_no_password() -> None:
    assert open_command("https://me:hush@host/mlflow") == "https://***@host/mlflow"
    assert open_command("postgresql://me:hush@host/db?token=hush") == "postgresql://***@host/db?token=***"


def test_what_mlflow_is_set_to() -> None:
    assert MLFLOW_HTTP_REQUEST_MAX_RETRIES.get() == 0
    assert not MLFLOW_ALLOW_PICKLE_DESERIALIZATION.get()
    assert 5 < MLFLOW_HTTP_REQUEST_TIMEOUT.get() < tracking.PATIENCE_SECONDS


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
    assert found["tracked"].data.metrics["hypervolume/full"] == 3600


def test_a_run_that_somebody_deleted_is_made_again(tmp_path: Path, record_of: Callable[..., Record]) -> None:
    uri, storage = f"sqlite:///{tmp_path}/mlflow.db", UPath(tmp_path)
    tracker = Tracker(SWEEP, storage, storage / "tracked", uri)
    tracker.note(record_of("full-000", history=epochs(1)))
    wait_for((tmp_path / "mlflow.db").exists)  # a look at what isn't there would make it
    wait_for(lambda: any("epoch" in run.data.metrics for run in runs(uri).values()))
    MlflowClient(uri).delete_run(runs(uri)["full-000"].info.run_id)
    longer = record_of("full-000", history=epochs(2))
    tracker.note(longer)
    assert tracker.close(make_report(SWEEP, [longer]), []) is None
    assert points(uri, "full-000", "lr") == [1, 2]


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
    # Nobody was there to note that it ran.
    assert after(failed_again) == ("FAILED", "ValueError: second", int(1.8e12))
    assert after(failed_again, last, finished) == ("FINISHED", None, int(1.9e12))
    assert points(uri, "full-000", "loss/cross_entropy") == [1, 2, 3]
    assert points(uri, "full-000", "id/test/top1") == [3]


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
        steps = points(uri, "full-000", key)
        only_final = "/test/" in key or key == "ood/b/val/top1"
        assert steps == ([4] if only_final else [1, 2, 3, 4]), key
    assert [m.value for m in history(uri, "full-000", "lr")] == [0.1, 0.1, 0.1, 0.2]


def test_a_record_noted_late_does_not_undo_the_end(tmp_path: Path, record_of: Callable[..., Record]) -> None:
    running = record_of("full-000", history=epochs(1), attempt=1)
    done = running.model_copy(update={"status": "finished", "results": RESULTS, "ended": time.time()})
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    storage = UPath(tmp_path)
    tracker = Tracker(SWEEP, storage, storage / "tracked", uri)
    earlier = running.model_copy(update={"attempt": 0, "status": "failed", "error": "an earlier one", "ended": 1.0})
    for record in (running, done, running, earlier):
        tracker.note(record)
    assert tracker.close(make_report(SWEEP, [done]), []) is None
    assert runs(uri)["full-000"].info.status == "FINISHED"


def test_the_same_report_again_is_the_same_point(tmp_path: Path, record_of: Callable[..., Record]) -> None:
    done = record_of("full-000", status="finished", results=RESULTS, ended=time.time())
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    for _ in range(3):
        assert follow(UPath(tmp_path), uri, [done]) is None
    assert [(m.step, m.value) for m in history(uri, "tracked", "hypervolume/full")] == [(1, 3600)]
    # As many trials, run again, of which one gives something else.
    worse = done.model_copy(update={"results": RESULTS | {"id/test": Count(correct=55, total=100)}})
    assert follow(UPath(tmp_path), uri, [worse]) is None
    found = history(uri, "tracked", "hypervolume/full")
    assert [(m.step, m.value) for m in found] == [(1, 3600), (2, pytest.approx(3300))]
    assert runs(uri)["tracked"].data.metrics["hypervolume/full"] == pytest.approx(3300)


def test_folders_with_quotes_keep_to_their_own_runs(tmp_path: Path, record_of: Callable[..., Record]) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    for name in ("it's", "itXs", "it's", "itXs"):
        done = record_of("full-000", {"of": name}, status="finished", results=RESULTS, ended=1.7e9)
        assert follow(UPath(tmp_path / name), uri, [done]) is None
    client = MlflowClient(uri)
    found = client.search_runs([client.get_experiment_by_name("tracked").experiment_id])
    assert sorted(run.data.params.get("of", "a parent") for run in found) == ["a parent", "a parent", "it's", "itXs"]


def test_an_empty_run_too_many_is_deleted(tmp_path: Path, record_of: Callable[..., Record]) -> None:
    uri, storage = f"sqlite:///{tmp_path}/mlflow.db", UPath(tmp_path)
    record = record_of("full-000", history=epochs(1))
    assert follow(storage, uri, [record]) is None
    before, client = runs(uri), MlflowClient(uri)
    for run in before.values():
        client.create_run(run.info.experiment_id, tags=run.data.tags, run_name=run.info.run_name)
    assert follow(storage, uri, [record]) is None
    assert {run.info.run_id for run in runs(uri).values()} == {run.info.run_id for run in before.values()}


def test_what_was_noted_is_logged_before_the_sweep_is_left(tmp_path: Path, record_of: Callable[..., Record]) -> None:
    uri, storage = f"sqlite:///{tmp_path}/mlflow.db", UPath(tmp_path)
    tracker = Tracker(SWEEP, storage, storage / "tracked", uri)
    tracker.note(record_of("full-000", history=epochs(2)))
    tracker.leave(60)
    found = runs(uri)
    assert found["full-000"].data.metrics["epoch"] == 2
    assert found["tracked"].info.status == "RUNNING"


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
