"""The executor on a real Ray: with trials whose work is told by the test, and with a real worker group."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
import torch
from upath import UPath

from fpray.cluster import concurrency, connect
from fpray.config import Sweep
from fpray.errors import UserError
from fpray.executor import execute
from fpray.records import Count, Record
from fpray.runtime import Runtime
from fpray.schedule import Schedule
from fpray.store import RecordStore
from fpray.sweepfile import check_sweep
from fpray.trial import run_trial


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield
    ray.shutdown()


def sweep_of(trials: int, **sections: object) -> Sweep:
    return check_sweep({"name": "s", "methods": {"full": {"trials": trials}}} | sections, "s")


def test_trials_overlap_and_share_processes(tmp_path: Path) -> None:
    def work(record: Record, sweep: Sweep, folder: UPath, runtime: Runtime) -> None:
        # Each of the first two waits for the other's file: alone, neither would ever end.
        RecordStore(folder).write_weights(record.trial.id, {})
        others = {f"full-{1 - record.trial.number:03d}"} if record.trial.number < 2 else set()
        deadline = time.monotonic() + 60
        while not all((folder / "trials" / o / "weights.safetensors").exists() for o in others):
            assert time.monotonic() < deadline, "the other trial never ran beside this one"
        (folder / f"{record.trial.id}.pid").write_text(str(os.getpid()))
        counts = {split: Count(correct=1, total=2) for split in ("id/val", "ood/a/val")}
        RecordStore(folder).write(record.model_copy(update={"status": "finished", "results": counts}))

    sweep, folder, ended = sweep_of(6), UPath(tmp_path), []
    schedule = Schedule(sweep, [])
    execute(schedule, sweep, folder, concurrency(sweep.resources), ended.append, work)
    assert sorted(r.trial.id for r in ended) == [f"full-{n:03d}" for n in range(6)]
    assert {r.status for r in ended} == {"finished"}, [r.error for r in ended]
    assert len({path.read_text() for path in tmp_path.glob("*.pid")}) == 2
    assert schedule.complete


def test_two_workers_give_the_curve_of_one(tmp_path: Path, tiny_clip: str) -> None:
    content = {"data": {"train_images": 81}, "model": {"name": tiny_clip}}
    train = {"epochs": 2, "batch_size": 40, "lr": 1e-3, "warmup_steps": 2}
    kinds = {"one": {"workers": 1}, "two": {"workers": 2, "loader_workers": 1}}
    records = {}
    for name, resources in kinds.items():
        sweep = sweep_of(1, resources=resources, train=train | {"accumulate": resources["workers"]}, **content)
        execute(Schedule(sweep, []), sweep, UPath(tmp_path / name), 1, lambda record: None, run_trial)
        (records[name],) = RecordStore(UPath(tmp_path / name)).read_all()
        assert records[name].status == "finished", records[name].error
    one, two = records["one"], records["two"]
    assert {s: c.total for s, c in one.results.items()} == {s: c.total for s, c in two.results.items()}
    for left, right in zip(one.history, two.history, strict=True):
        assert left.images == right.images == 80
        assert right.losses["cross_entropy"] == pytest.approx(left.losses["cross_entropy"], rel=1e-4)
    assert two.movement is not None and one.movement is not None
    assert two.movement.distance == pytest.approx(one.movement.distance, rel=0.02)


def test_a_trial_leaves_nothing_in_its_process_but_the_reference(tmp_path: Path, tiny_clip: str) -> None:
    def work(record: Record, sweep: Sweep, folder: UPath, runtime: Runtime) -> None:
        gc.collect()
        alive = [o for o in gc.get_objects() if isinstance(o, torch.Tensor)]
        (folder / f"{record.trial.number}.alive").write_text(f"{os.getpid()} {sum(t.nbytes for t in alive)}")
        run_trial(record, sweep, folder, runtime)
        if record.trial.number == 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    train = {"epochs": 1, "batch_size": 40, "lr": {"log": [1e-4, 1e-3]}}
    sweep = sweep_of(6, train=train, data={"train_images": 80}, model={"name": tiny_clip})
    execute(Schedule(sweep, []), sweep, UPath(tmp_path), 1, lambda record: None, work)
    seen = [path.read_text().split() for path in sorted(tmp_path.glob("*.alive"))]
    assert len({pid for pid, _ in seen}) == 1
    # From the second trial on the reference and its cached features are there; nothing is added.
    assert len({alive for _, alive in seen[1:]}) == 1


def test_more_than_the_cluster_has_is_refused() -> None:
    with pytest.raises(UserError, match=r"1 worker\(s\) with 1 CPU\(s\) and 1 GPU\(s\) .* the cluster has .* 0 GPU"):
        concurrency(sweep_of(1, resources={"gpus": 1}).resources)
    with pytest.raises(UserError, match=r"2 worker\(s\) with 3 CPU\(s\).* has 2 CPU\(s\) .* on 1 node"):
        concurrency(sweep_of(1, resources={"cpus": 3, "workers": 2}).resources)


def test_concurrency_is_what_fits() -> None:
    assert concurrency(sweep_of(1).resources) == 2
    assert concurrency(sweep_of(1, resources={"cpus": 0.5}).resources) == 4
    assert concurrency(sweep_of(1, resources={"cpus": 0.5, "concurrency": 3}).resources) == 3
    assert concurrency(sweep_of(1, resources={"concurrency": 9}).resources) == 2


def test_no_cluster_at_the_address_is_a_sentence() -> None:
    ray.shutdown()
    with pytest.raises(UserError, match="can't reach a Ray cluster at '127.0.0.1:9'"):
        connect("127.0.0.1:9")
