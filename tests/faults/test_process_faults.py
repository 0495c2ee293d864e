"""Faults of a trial's process: it is killed at any moment, crashes, hangs, runs out of memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import ray
from mlflow import MlflowClient

from fpray.config.file import check_sweep
from fpray.config.schema import Sweep
from fpray.records.record import Record
from fpray.sweep.events import events
from fpray.sweep.run import run_sweep
from tests.faults.faulty import Fault, epochs_begun, log_of, plan, work
from tests.faults.small import SMALL, in_epoch, outcomes
from tests.sweeps import records_in, run_here

pytestmark = pytest.mark.long

TRIALS = 12
EPOCHS = 3
STALL = 30
"""Seconds; on a busy machine too all but what hangs gives a sign of life in them."""
# Of a trial's files the record is written first; then each epoch's checkpoint and record; then the weights, what was
# right and wrong, and the record.
CHECKPOINT_2, RECORD_2, WEIGHTS, LAST_RECORD = 4, 5, 8, 10
ONCE = {
    "full-001#1": Fault("kill", "write", CHECKPOINT_2),
    "full-002#1": Fault("kill", "write", RECORD_2),
    "full-003#1": Fault("kill", "written", RECORD_2),
    "full-004#1": Fault("crash", "beat", in_epoch(2)),
    "full-005#1": Fault("kill", "write", WEIGHTS),
    "full-006#1": Fault("kill", "write", LAST_RECORD),
    "full-007#1": Fault("kill", "written", LAST_RECORD),
    "full-008#1": Fault("kill", "beat", 1),
    "full-010#1": Fault("kill", "beat", in_epoch(2)),
}
HOPELESS = {
    "full-000#1": Fault("hang", "beat", in_epoch(2)),  # the first, so that others run while it does nothing
    "full-000#2": Fault("hang", "beat", 1),
    "full-009#1": Fault("crash", "beat", in_epoch(2)),
    "full-009#2": Fault("crash", "beat", 1),
    "full-011#1": Fault("run_out_of_memory", "beat", in_epoch(2)),
}


@dataclass
class Ended:
    """A sweep that has ended: its folder, its records, and what the command gave."""

    sweep: Sweep
    code: int
    said: str

    @property
    def folder(self) -> Path:
        return Path(self.sweep.storage) / self.sweep.name

    @property
    def records(self) -> dict[str, Record]:
        return records_in(self.folder)


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def small(tiny_clip: str) -> Callable[..., Sweep]:
    def make(storage: Path, **sections: object) -> Sweep:
        sections = {"methods": {"full": {"trials": TRIALS}}} | sections
        return check_sweep(SMALL | {"model": {"name": tiny_clip}, "storage": str(storage)} | sections, "small")

    return make


@pytest.fixture(scope="module")
def undisturbed(small: Callable[..., Sweep], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Record]:
    """The records of a sweep to which nothing happens, not even Ray."""
    sweep = small(tmp_path_factory.mktemp("undisturbed"))
    run_here(sweep)
    return records_in(Path(sweep.storage) / sweep.name)


@pytest.fixture(scope="module")
def disturbed(small: Callable[..., Sweep], tmp_path_factory: pytest.TempPathFactory) -> Ended:
    sweep = small(tmp_path_factory.mktemp("disturbed"), resources={"stall_seconds": STALL})
    plan(Path(sweep.storage) / "small", ONCE | HOPELESS)
    with events.console.capture() as captured:
        code = run_sweep(sweep, work=work)
    return Ended(sweep, code, captured.get())


def test_what_happened_was_what_was_planned(disturbed: Ended) -> None:
    kinds = [words[1] for words in log_of(disturbed.folder) if words[0] == "fault"]
    assert sorted(kinds) == sorted(fault.kind for fault in (ONCE | HOPELESS).values())


def test_trials_that_were_killed_or_crashed_end_as_if_nothing_had_been(
    undisturbed: dict[str, Record], disturbed: Ended
) -> None:
    hopeless = {key.partition("#")[0] for key in HOPELESS}
    left = [record for id, record in disturbed.records.items() if id not in hopeless]
    whole = [record for id, record in undisturbed.items() if id not in hopeless]
    assert outcomes(left) == outcomes(whole)


def test_what_ended_is_not_done_twice(disturbed: Ended) -> None:
    """A process that was killed right after it wrote its end has ended."""
    attempts = {id: record.attempt for id, record in disturbed.records.items()}
    assert attempts["full-007"] == 1
    assert {attempts[f"full-{n:03d}"] for n in (1, 2, 3, 4, 5, 6, 8, 10)} == {2}


def test_a_fault_costs_one_epoch_at_most(disturbed: Ended) -> None:
    begun = epochs_begun(disturbed.folder)
    for key in ONCE:
        assert begun[key.partition("#")[0]] <= EPOCHS + 1, key
    # A checkpoint was whole: what came after it is repeated, and no epoch.
    assert {begun[f"full-{n:03d}"] for n in (2, 3, 5, 6, 7)} == {EPOCHS}


def test_a_trial_that_always_crashes_has_failed_with_its_traceback(disturbed: Ended) -> None:
    record = disturbed.records["full-009"]
    assert (record.status, record.attempt, record.failures) == ("failed", 2, 2)
    assert "ValueError: this attempt can't" in str(record.error)
    assert "in crash" in str(record.error)


def test_a_hang_is_ended_tried_once_more_and_fails_with_its_stack(disturbed: Ended) -> None:
    record = disturbed.records["full-000"]
    assert (record.status, record.attempt) == ("failed", 2)
    assert "in hang\n" in str(record.error)
    assert f"no sign of life for {STALL} seconds" in str(record.error)


def test_a_lack_of_memory_is_not_tried_again(disturbed: Ended) -> None:
    record = disturbed.records["full-011"]
    assert (record.status, record.attempt) == ("failed", 1)
    assert "out of memory on cpu" in str(record.error)


def test_the_sweep_ends_with_a_list_of_what_failed(disturbed: Ended) -> None:
    assert disturbed.code == 1
    for line in (
        "full-010 is tried again from epoch 2: its process died",
        "full-004 is tried again from epoch 2: ValueError: this attempt can't",
        "failed: full-009: ValueError: this attempt can't",
        f"failed: full-000: no sign of life for {STALL} seconds; it stood there",
        "once you have changed what made them fail, the same command with --retry-failed tries them again",
    ):
        assert line in disturbed.said, disturbed.said


def mlflow_runs(ended: Ended) -> dict[str, tuple[str, str]]:
    """The status and the error of each run, by name; no name comes twice."""
    client = MlflowClient(f"sqlite:///{ended.sweep.storage}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("small").experiment_id])
    found = {run.info.run_name: (run.info.status, run.data.tags.get("fpray.error", "")) for run in runs}
    assert len(found) == len(runs)
    return found


def test_mlflow_shows_what_failed(disturbed: Ended) -> None:
    runs = mlflow_runs(disturbed)
    failed = {id for id, (status, _) in runs.items() if status == "FAILED"}
    assert failed == {"small", "full-000", "full-009", "full-011"}
    assert "ValueError: this attempt can't" in runs["full-009"][1]


def test_nothing_lies_about_afterwards(disturbed: Ended) -> None:
    for id, record in disturbed.records.items():
        names = {path.name for path in (disturbed.folder / "trials" / id).iterdir()}
        results, to_go_on_from = {"weights.safetensors", "images.npz"}, {"checkpoint"}
        assert names == {"record.json"} | (results if record.status == "finished" else to_go_on_from)


def test_failed_trials_are_tried_again_when_asked(undisturbed: dict[str, Record], disturbed: Ended) -> None:
    plan(disturbed.folder, {})
    assert run_sweep(disturbed.sweep, work=work) == 1  # not by themselves
    before = {id: record.attempt for id, record in disturbed.records.items()}
    assert run_sweep(disturbed.sweep, retry_failed=True, work=work) == 0
    assert outcomes(disturbed.records.values()) == outcomes(undisturbed.values())
    after = {id: record.attempt for id, record in disturbed.records.items()}
    assert {id for id in after if after[id] != before[id]} == {"full-000", "full-009", "full-011"}
    assert set(mlflow_runs(disturbed).values()) == {("FINISHED", "")}
