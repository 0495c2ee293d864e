"""MLflow is away, killed, slow, or its answers are lost: the sweep goes on, and MLflow is complete in the end.

The server is a real one. Between it and fpray lies a proxy that does to each call what a test says.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run
from upath import UPath

from fpray.config.file import check_sweep
from fpray.config.schema import Sweep
from fpray.records.record import Count, Epoch, Record
from fpray.records.store import RecordStore
from fpray.report.report import make_report
from fpray.tracking import background
from fpray.tracking import tracker as tracking
from fpray.tracking.names import Names
from fpray.tracking.tracker import Tracker
from tests.faults.mlflow_proxy import HANG, LOST, REFUSED, Proxy, pass_on
from tests.faults.mlflow_server import Server
from tests.waiting import wait_for


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for all the tests here; the first one that needs it starts it."""
    server = Server(tmp_path_factory.mktemp("mlflow"))
    yield server
    server.kill()


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    if server.process is None:
        server.start()
        server.wait()
    with opened(Proxy(server)) as proxy:
        yield proxy


@pytest.fixture
def dead_proxy(tmp_path: Path) -> Iterator[Proxy]:
    """A proxy without a server, which refuses every call."""
    with opened(Proxy(Server(tmp_path))) as proxy:
        proxy.rule = lambda call: REFUSED
        yield proxy


@contextlib.contextmanager
def opened(proxy: Proxy) -> Iterator[Proxy]:
    yield proxy
    proxy.over.set()
    proxy.shutdown()
    proxy.server_close()


@pytest.fixture
def ctrl_c() -> Iterator[Callable[[str], None]]:
    """Sends this process a Ctrl-C. Python ignores it where a script has started the tests in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda line: signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    """A sweep with a name of its own, and so with an experiment of its own."""
    return check_sweep({"name": tmp_path.name, "methods": {"full": {"trials": 4}}}, "s")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "RETRY_SECONDS", 0.1)


def history(count: int) -> tuple[Epoch, ...]:
    def epoch(n: int) -> Epoch:
        fields = {"epoch": n, "step": n, "lr": 0.1, "losses": {"cross_entropy": 1 / n}, "ended": 1.7e9 + n}
        fields |= {"images": 10, "seconds": 1.0, "validation_seconds": 0.5}
        return Epoch(validation={"id/val": Count(correct=n, total=10)}, **fields)

    return tuple(map(epoch, range(1, count + 1)))


@pytest.fixture
def records(record_of: Callable[..., Record]) -> list[Record]:
    """Two finished trials and one that failed."""
    results = {f"{d}/{p}": Count(correct=6, total=10) for d in ("id", "ood/a") for p in ("val", "test")}
    done = [
        record_of(f"full-00{n}", history=history(3), status="finished", results=results, ended=1.8e9) for n in (0, 1)
    ]
    return [*done, record_of("full-002", history=history(1), status="failed", error="ValueError: no", ended=1.8e9)]


def tracker_of(sweep: Sweep, folder: Path, uri: str) -> Tracker:
    return Tracker(sweep, UPath(folder) / sweep.name, sweep.name, uri)


def files_in(folder: Path) -> list[UPath]:
    for name in ("report.json", "report.html"):
        (folder / name).write_text(name)
    return [UPath(folder / "report.json"), UPath(folder / "report.html")]


def assert_complete(uri: str, name: str, records: list[Record], files: set[str]) -> None:
    """Assert that MLflow has one run for each trial, each point once, and one parent with the report and its files."""
    client = MlflowClient(uri)
    found = client.search_runs([client.get_experiment_by_name(name).experiment_id])
    runs = {run.info.run_name: run for run in found}
    assert sorted(run.info.run_name for run in found) == sorted([name, *(r.trial.id for r in records)])
    parent = runs.pop(name)
    assert parent.info.status == ("FAILED" if any(r.status == "failed" for r in records) else "FINISHED")
    assert {file.path for file in client.list_artifacts(parent.info.run_id)} >= files
    steps = [metric.step for metric in client.get_metric_history(parent.info.run_id, "full/knee/test/id")]
    assert steps == [len(records)]
    for record in records:
        run = runs[record.trial.id]
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert_like(client, run, record)


def assert_like(client: MlflowClient, run: Run, record: Record) -> None:
    """Assert that a run has what its record has, point by point."""
    assert run.info.status == record.status.upper()
    assert run.info.end_time == int(1000 * record.ended)
    assert run.data.params["full.lr"] == str(record.trial.params["lr"])
    assert ("fpray.error" in run.data.tags) == (record.error is not None)
    expected = {f"loss/{name}": [e.losses[name] for e in record.history] for name in record.history[0].losses}
    expected |= {"val/id": [e.validation["id/val"].top1 for e in record.history]}
    expected |= {"epoch": [e.epoch for e in record.history]}
    expected |= {
        Names().accuracy(f"{split}/top1"): [count.top1]
        for split, count in record.results.items()
        if split.endswith("/test")
    }
    assert expected.keys() <= run.data.metrics.keys()
    for key in run.data.metrics:
        points = sorted(client.get_metric_history(run.info.run_id, key), key=lambda m: m.step)
        assert len({m.step for m in points}) == len(points), key
        if key in expected:
            assert [m.value for m in points] == expected[key], key


@pytest.mark.long
def test_a_server_absent_at_the_start_and_killed_in_the_middle(server: Server, tmp_path: Path, tiny_clip: str) -> None:
    content = {"name": "absent", "storage": str(tmp_path / "storage"), "model": {"name": tiny_clip}}
    content |= {"methods": {"full": {"trials": 3}}, "data": {"train_images": 80}}
    content |= {"train": {"epochs": 3, "batch_size": 40, "lr": {"log": [1e-4, 1e-3]}, "warmup_steps": 2, "alphas": 0}}
    content |= {"tracking": {"uri": server.uri}}
    file = tmp_path / "absent.yaml"
    file.write_text(yaml.safe_dump(content))
    call = [sys.executable, "-m", "fpray.sweep", str(file)]
    process = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path)
    store = RecordStore(UPath(tmp_path / "storage" / "absent"))
    first = store.trial_folder("full-000") / "record.json"
    assert wait_for(first.exists, lambda: process.poll() is None), process.communicate()[0]
    server.start()
    server.wait()
    client = MlflowClient(server.uri)

    def some_run() -> bool:
        experiment = client.get_experiment_by_name("absent")
        return experiment is not None and len(client.search_runs([experiment.experiment_id])) > 1

    assert wait_for(some_run, lambda: process.poll() is None), process.communicate()[0]
    server.kill()
    server.start()
    out, _ = process.communicate(timeout=200)
    assert process.returncode == 0, out
    assert f"MLflow: {server.uri}" in out
    server.wait()
    assert_complete(server.uri, "absent", store.read_all(), {"report.html", "fronts.png", "report.json"})


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("fate", [LOST, REFUSED])
def test_the_first_answers_to_every_kind_of_call(
    proxy: Proxy, sweep: Sweep, records: list[Record], tmp_path: Path, fate: str
) -> None:
    seen: Counter[str] = Counter()

    def first_two_of_a_kind(call: str) -> str | None:
        kind = call if "artifacts" not in call else call[:4]
        seen[kind] += 1
        return fate if seen[kind] <= 2 else None  # the parent's run is made before a trial's

    proxy.rule = first_two_of_a_kind
    tracker = tracker_of(sweep, tmp_path, proxy.uri)
    for record in records:
        tracker.update(record)
    assert tracker.close(make_report(sweep, records), files_in(tmp_path)) is None
    assert {"POST experiments/create", "POST runs/create", "POST runs/log-batch", "POST runs/update"} <= seen.keys()
    # What came through though its answer was lost is not asked for again: no run was made to be deleted.
    assert seen["POST runs/create"] == (4 if fate == LOST else 4 + 2)
    assert_complete(proxy.mlflow.uri, sweep.name, records, {"report.json", "report.html"})


@pytest.mark.usefixtures("quick")
def test_a_run_made_after_its_request_was_given_up(
    proxy: Proxy, sweep: Sweep, records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    second, late = threading.Event(), threading.Event()
    made: list[str] = []

    def first_trial_late(call: str) -> str | None:
        if call == "POST runs/log-batch" and len(made) > 2:
            second.set()
        if call == "POST runs/create":
            made.append(call)
            if len(made) == 2:  # the parent's is the first
                second.wait()
                late.set()
                return LOST
        return None

    proxy.rule = first_trial_late
    tracker = tracker_of(sweep, tmp_path, proxy.uri)
    for record in records:
        tracker.update(record)
    late.wait()
    monkeypatch.setenv(
        "MLFLOW_HTTP_REQUEST_TIMEOUT", "60"
    )  # no other request is to be given up, however busy the machine is
    client = MlflowClient(proxy.mlflow.uri)
    experiment = client.get_experiment_by_name(sweep.name).experiment_id
    # A parent, three trials, and the one too many.
    assert wait_for(lambda: len(client.search_runs([experiment])) == 5)
    assert tracker.close(make_report(sweep, records), files_in(tmp_path)) is None
    assert_complete(proxy.mlflow.uri, sweep.name, records, {"report.json", "report.html"})


def test_a_slow_server_holds_up_nobody_and_gets_everything(
    proxy: Proxy, sweep: Sweep, records: list[Record], tmp_path: Path
) -> None:
    queued, slow = threading.Event(), []

    def slow_after_all_is_queued(call: str) -> str | None:
        queued.wait()  # for ever, if `update` waited for an answer
        if call == "POST runs/log-batch" and not slow:
            slow.append(call)
            proxy.over.wait(5)
        return None

    proxy.rule = slow_after_all_is_queued
    tracker = tracker_of(sweep, tmp_path, proxy.uri)
    for count in range(1, 1000):
        tracker.update(records[0].model_copy(update={"status": "running", "history": history(min(count, 3))}))
    for record in records:
        tracker.update(record)
    queued.set()
    assert tracker.close(make_report(sweep, records), files_in(tmp_path)) is None
    assert slow
    assert_complete(proxy.mlflow.uri, sweep.name, records, {"report.json", "report.html"})
    # A call for each of the four runs, for its data, for all that it has, and for its end; one more for the first of
    # the updates. Notes are written by the clock.
    others = {"POST runs/search", "POST runs/set-tag"}
    written = [call for call in proxy.calls if call.startswith("POST runs/") and call not in others]
    assert len(written) <= 4 * 4 + 1


@pytest.mark.usefixtures("quick")
def test_a_server_that_hangs_is_waited_for_with_a_word_and_not_for_ever(
    proxy: Proxy,
    sweep: Sweep,
    records: list[Record],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ctrl_c: Callable[[str], None],
) -> None:
    lines: list[str] = []
    proxy.rule = lambda call: HANG if call == "POST runs/log-batch" else None
    monkeypatch.setattr(tracking, "QUIET_SECONDS", 0.5)
    with monkeypatch.context() as patch:
        patch.setattr(tracking, "PATIENCE_SECONDS", 2.0)
        tracker = tracker_of(sweep, tmp_path, proxy.uri)
        for record in records:
            tracker.update(record)
        problem = tracker.close(make_report(sweep, records), files_in(tmp_path), lines.append)
    assert problem is not None
    assert problem.startswith(f"MLflow at {proxy.uri} is behind (")
    assert problem.endswith("; the same command catches it up")
    assert len(lines) == 1
    assert lines[0].startswith(f"waiting: MLflow at {proxy.uri} is behind (")
    # The same command, and Ctrl-C as soon as it says that it waits.
    tracker = tracker_of(sweep, tmp_path, proxy.uri)
    for record in records:
        tracker.update(record)
    report, files = make_report(sweep, records), files_in(tmp_path)
    problem = tracker.close(report, files, ctrl_c)
    assert problem == f"MLflow at {proxy.uri} is behind (interrupted); the same command catches it up"
    # And again, when the server is well.
    proxy.rule = pass_on
    tracker = tracker_of(sweep, tmp_path, proxy.uri)
    for record in records:
        tracker.update(record)
    assert tracker.close(report, files) is None
    assert_complete(proxy.mlflow.uri, sweep.name, records, {"report.json", "report.html"})


@pytest.mark.usefixtures("quick")
def test_interrupted_is_the_reason_given_even_if_the_server_fails_once_more(
    dead_proxy: Proxy,
    sweep: Sweep,
    records: list[Record],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ctrl_c: Callable[[str], None],
) -> None:
    monkeypatch.setattr(tracking, "QUIET_SECONDS", 0.0)
    tracker = tracker_of(sweep, tmp_path, dead_proxy.uri)
    give_up = tracker._thread.give_up

    def give_up_late() -> None:
        """Give up only after the next call has failed, which the thread has written down before one more call."""
        calls = len(dead_proxy.calls)
        wait_for(lambda: len(dead_proxy.calls) >= calls + 2)
        give_up()

    monkeypatch.setattr(tracker._thread, "give_up", give_up_late)
    problem = tracker.close(make_report(sweep, records), [], ctrl_c)
    assert problem == f"MLflow at {dead_proxy.uri} is behind (interrupted); the same command catches it up"
    assert "failed with exception" in str(tracker._thread.trouble)
