"""The executor on a real Ray: with trials whose work is told by the test, and with a real worker group."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
import torch
from upath import UPath

from fpray.config import Sweep, TrialSettings, read_sweep
from fpray.errors import UserError
from fpray.execution.cluster import Cluster
from fpray.execution.connection import connect
from fpray.execution.executor import execute
from fpray.records import Count, LostHoldError, Record, SweepFolder
from fpray.search.schedule import Schedule
from fpray.training.loop import StoppedError
from fpray.training.runtime import Runtime
from fpray.training.trial import run_trial
from tests.sweeps import room_for, sweep_of
from tests.waiting import wait_for


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield
    ray.shutdown()


def trials(count: int, **sections: object) -> Sweep:
    return sweep_of(methods={"full": {"trials": count}}, **sections)


def test_trials_overlap_and_share_processes(tmp_path: Path) -> None:
    def work(record: Record, settings: TrialSettings, folder: SweepFolder, runtime: Runtime) -> None:
        # Each of the first two waits for the other's file: alone, neither would ever end.
        folder.records.write_weights(record.trial.id, {})
        others = {f"full-{1 - record.trial.number:03d}"} if record.trial.number < 2 else set()
        there = [folder.path / "trials" / other / "weights.safetensors" for other in others]
        wait_for(lambda: all(path.exists() for path in there))
        (folder.path / f"{record.trial.id}.pid").write_text(str(os.getpid()))
        counts = {split: Count(correct=1, total=2) for split in ("id/val", "ood/a/val")}
        folder.records.write(record.finished(results=counts))

    sweep, ended = trials(6), []
    schedule = Schedule(sweep, [])
    room = Cluster(sweep, own=True).room
    execute(schedule, SweepFolder(UPath(tmp_path)), room=room, on_change=ended.append, work=work)
    assert sorted(r.trial.id for r in ended) == [f"full-{n:03d}" for n in range(6)]
    assert {r.status for r in ended} == {"finished"}, [r.error for r in ended]
    # Tune's TensorBoard logger had a thread that wrote into a folder which is gone by now.
    assert not [thread for thread in threading.enumerate() if type(thread).__module__.startswith("tensorboardX")]
    assert len({path.read_text() for path in tmp_path.glob("*.pid")}) == 2
    assert schedule.complete


@pytest.mark.long
def test_processes_are_kept_for_trials_that_wait_for_results(tmp_path: Path) -> None:
    def work(record: Record, settings: TrialSettings, folder: SweepFolder, runtime: Runtime) -> None:
        (folder.path / f"{record.trial.id}.pid").write_text(str(os.getpid()))
        at_once = record.trial.number // 3 * 3 + 3
        wait_for(lambda: len(list(tmp_path.glob("*.pid"))) >= at_once)
        if record.trial.number == 0:  # with a lag of 2, its result is needed before a fourth trial begins
            wait_for(lambda: sum(other.has_ended for other in folder.records.read_all()) == 2)
            time.sleep(1)
        finish(record, settings, folder, runtime)

    sweep = trials(6, search={"lag": 2}, resources={"cpus": 0.5})
    execute(Schedule(sweep, []), SweepFolder(UPath(tmp_path)), room=room_for(3), work=work)
    assert len({path.read_text() for path in tmp_path.glob("*.pid")}) == 3


@pytest.mark.long
def test_two_workers_give_the_curve_of_one(tmp_path: Path, tiny_clip: str) -> None:
    content = {"data": {"train_images": 81}, "model": {"name": tiny_clip}}
    train = {"epochs": 2, "batch_size": 40, "lr": 1e-3, "warmup_steps": 2}
    alone = trials(1, train=train, **content)
    group = trials(1, train=train | {"accumulate": 2}, resources={"workers": 2, "loader_workers": 1}, **content)
    folders = [SweepFolder(UPath(tmp_path / name)) for name in ("one", "two")]
    first = Schedule(alone, []).ask()
    assert isinstance(first, Record)
    run_trial(first, alone.trial_settings("full"), folders[0], Runtime(torch.device("cpu")))
    execute(Schedule(group, []), folders[1], room=room_for(1))
    (one,), (two,) = (folder.records.read_all() for folder in folders)
    assert two.status == "finished", two.error
    assert two.trial == one.trial
    assert {s: c.total for s, c in one.results.items()} == {s: c.total for s, c in two.results.items()}
    for left, right in zip(one.history, two.history, strict=True):
        assert left.images == right.images == 80
        assert right.losses["cross_entropy"] == pytest.approx(left.losses["cross_entropy"], rel=1e-4)
    assert two.movement is not None and one.movement is not None
    assert two.movement.distance == pytest.approx(one.movement.distance, rel=0.02)


@pytest.mark.long
def test_a_trial_leaves_nothing_in_its_process_but_the_reference(tmp_path: Path, tiny_clip: str) -> None:
    def work(record: Record, settings: TrialSettings, folder: SweepFolder, runtime: Runtime) -> None:
        gc.collect()
        alive = [o for o in gc.get_objects() if isinstance(o, torch.Tensor)]
        (folder.path / f"{record.trial.number}.alive").write_text(f"{os.getpid()} {sum(t.nbytes for t in alive)}")
        run_trial(record, settings, folder, runtime)
        if record.trial.number == 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    train = {"epochs": 1, "batch_size": 40, "lr": {"log": [1e-4, 1e-3]}}
    sweep = trials(6, train=train, data={"train_images": 80}, model={"name": tiny_clip})
    execute(Schedule(sweep, []), SweepFolder(UPath(tmp_path)), room=room_for(1), work=work)
    seen = [path.read_text().split() for path in sorted(tmp_path.glob("*.alive"))]
    assert len({pid for pid, _ in seen}) == 1
    # From the second trial on the reference and its cached features are there; nothing is added.
    assert len({alive for _, alive in seen[1:]}) == 1


def finish(record: Record, settings: TrialSettings, folder: SweepFolder, runtime: Runtime) -> None:
    count = Count(correct=1, total=2)
    splits = ("id/val", "ood/a/val", "id/test", "ood/a/test")
    folder.attempt(record).write(record.finished(results=dict.fromkeys(splits, count)))


def test_trials_that_may_not_begin_are_left_and_the_others_run(tmp_path: Path) -> None:
    sweep = sweep_of(methods={"full": {"trials": 2}, "zero_shot": None})
    folder = SweepFolder(UPath(tmp_path))
    execute(Schedule(sweep, []), folder, room=room_for(2), may_begin=lambda method: method != "full", work=finish)
    assert {r.trial.id: r.status for r in folder.records.read_all()} == {"zero_shot-000": "finished"}


def test_a_trial_that_stops_because_it_was_asked_to_is_not_tried_again(tmp_path: Path) -> None:
    def work(record: Record, settings: TrialSettings, folder: SweepFolder, runtime: Runtime) -> None:
        folder.stop.make()  # as `fpray stop` does from elsewhere
        if runtime.must_stop():
            raise StoppedError

    folder, ended = SweepFolder(UPath(tmp_path)), []
    execute(Schedule(trials(3), []), folder, room=room_for(1), on_change=ended.append, work=work)
    (record,) = folder.records.read_all()
    assert (record.status, record.attempt, record.failures, ended) == ("running", 1, 0, [])


def test_a_trial_that_another_command_has_begun_ends_this_one(tmp_path: Path) -> None:
    def work(record: Record, settings: TrialSettings, folder: SweepFolder, runtime: Runtime) -> None:
        folder.records.claim(record)
        raise ValueError("the attempt fails")

    folder, ended = SweepFolder(UPath(tmp_path)), []
    schedule = Schedule(trials(1, resources={"max_failures": 0}), [])
    with pytest.raises(LostHoldError, match="another command has begun full-000 again, so it runs this sweep"):
        execute(schedule, folder, room=room_for(1), on_change=ended.append, work=work)
    record = folder.records.read("full-000")
    assert (record.status, record.attempt, ended) == ("running", 2, [])


@pytest.mark.usefixtures("plugins_go")
def test_a_plug_in_that_fails_where_trials_run_is_the_reason_in_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "away.py").write_text(
        "import os\n"
        "from fpray.methods.full import Full\n"
        "if 'ON_THE_MACHINE_OF_THE_COMMAND' not in os.environ:\n"
        "    raise ImportError('no such library on this node')\n"
        "class Away(Full):\n    name = 'away'\n"
    )
    (tmp_path / "s.yaml").write_text("plugins: [away.py]\nmethods: {away: {trials: 1}}\n")
    monkeypatch.setenv("ON_THE_MACHINE_OF_THE_COMMAND", "1")  # Ray's processes had started before
    sweep, ended = read_sweep(tmp_path / "s.yaml"), []
    execute(Schedule(sweep, []), SweepFolder(UPath(tmp_path / "s")), room=room_for(1), on_change=ended.append)
    (record,) = ended
    assert (record.status, record.attempt) == ("failed", 1)
    assert "away.py' can't be run: no such library on this node (ImportError at line 4)" in record.error


def test_more_than_the_cluster_has_is_refused() -> None:
    with pytest.raises(UserError, match=r"resources: a trial needs 1 worker\(s\) with 1 CPU\(s\) and 1 GPU\(s\)"):
        Cluster(trials(1, resources={"gpus": 1}), own=True)
    own = {"full": {"trials": 1}, "zero_shot": {"resources": {"cpus": 3}}}
    with pytest.raises(UserError, match=r"methods.zero_shot.resources: .* 3 CPU\(s\).* ask for {cpus: 2}"):
        Cluster(sweep_of(methods=own), own=True)


def test_the_room_of_a_ray_of_its_own_is_what_fits_on_it() -> None:
    rooms = [({}, 2), ({"cpus": 0.5}, 4), ({"cpus": 0.5, "concurrency": 3}, 3), ({"concurrency": 9}, 2)]
    for resources, expected in rooms:
        sweep = trials(1, resources=resources)
        assert Cluster(sweep, own=True).room().at_once(sweep.resources, 10) == expected, resources


def test_no_cluster_at_the_address_is_a_sentence() -> None:
    ray.shutdown()
    with pytest.raises(UserError, match="can't reach a Ray cluster at '127.0.0.1:9'"):
        connect("127.0.0.1:9")
