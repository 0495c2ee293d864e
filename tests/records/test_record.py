"""Records: they read back as they were written, and their metrics are what the counts say."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from upath import UPath

from fpray.errors import UserError
from fpray.records.record import Cost, Count, Epoch, Movement, Provenance, Record, accuracies
from fpray.records.store import AttemptStore, RecordStore, SupersededError

COUNTS = {
    "id/val": Count(correct=1, total=3),
    "id/test": Count(correct=7, total=8),
    "ood/sketch/val": Count(correct=1, total=4),
    "ood/sketch/test": Count(correct=1, total=10),
    "ood/quickdraw/test": Count(correct=90, total=100),
}
MakeRecord = Callable[..., Record]


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> RecordStore:
    address = {"local": str(tmp_path), "memory": f"memory://{tmp_path.name}"}[request.param]
    return RecordStore(UPath(address) / "sweep")


@pytest.fixture
def full_record(record_of: MakeRecord) -> Record:
    """A record with every field, and with numbers that are awkward to write."""
    epoch = Epoch(
        epoch=1,
        step=3,
        lr=1 / 3,
        losses={"cross_entropy": 0.1 + 0.2, "distillation": 5e-324},
        validation={"id/val": Count(correct=0, total=1)},
        images=300,
        seconds=1e-7,
        validation_seconds=1e-7,
        ended=1764000000.123456,
    )
    return record_of(
        "l2-007-s3",
        {"lr": 3.3333333333333335e-06, "rank": 8, "whole": 2.0, "flag": True, "form": "kl", "word": "1e-4"},
        seed=3,
        status="finished",
        attempt=2,
        ended=2.5,
        history=(epoch,),
        results=COUNTS,
        movement=Movement(distance=1e300, relative_distance=math.pi, cka={"id/val": 0.1}),
        cost=Cost(seconds=1.0, images=300, images_per_second=300.0),
        provenance=Provenance(versions={"torch": "2"}, commit=None, device="cpu"),
        error="Traceback:\n  'é' ✗",
    )


def test_a_record_reads_back_the_same(store: RecordStore, full_record: Record) -> None:
    store.write(full_record)
    again = store.read("l2-007-s3")
    assert again == full_record
    assert {k: type(v) for k, v in again.trial.params.items()} == {
        k: type(v) for k, v in full_record.trial.params.items()
    }


def test_numbers_read_back_to_the_last_bit(store: RecordStore, record_of: MakeRecord) -> None:
    rng = np.random.default_rng(0)
    params = {f"p{i}": float(x) for i, x in enumerate(rng.normal(size=300) * 10.0 ** rng.integers(-12, 6, 300))}
    store.write(record_of(params=params))
    assert store.read("full-000").trial.params == params


def test_numbers_that_are_none_read_back_too(store: RecordStore, record_of: MakeRecord) -> None:
    nan, inf = float("nan"), float("inf")
    store.write(record_of(movement=Movement(distance=inf, relative_distance=-inf, cka={"id/val": nan})))
    json.loads(
        (store.trial_folder("full-000") / "record.json").read_text(),
        parse_constant=lambda word: pytest.fail(f"{word} is not JSON"),
    )
    movement = store.read("full-000").movement
    assert (movement.distance, movement.relative_distance) == (inf, -inf)
    assert math.isnan(movement.cka["id/val"])


def test_a_later_record_replaces_the_earlier(store: RecordStore, record_of: MakeRecord) -> None:
    store.write(record_of())
    store.write(record_of(status="failed", error="NaN"))
    assert [record.status for record in store.read_all()] == ["failed"]
    assert [path.name for path in store.trial_folder("full-000").iterdir()] == ["record.json"]


def test_every_record_is_read_in_order(store: RecordStore, record_of: MakeRecord) -> None:
    assert store.read_all() == []
    for trial_id, seed in (("l2-000", 0), ("full-010-s1", 1), ("full-010-s0", 0), ("full-002-s0", 0)):
        store.write(record_of(trial_id, seed=seed))
    store.write_weights("kd-000", {"w": torch.zeros(1)})  # a folder whose record is not written yet
    assert [r.trial.id for r in store.read_all()] == ["full-002-s0", "full-010-s0", "full-010-s1", "l2-000"]


def test_a_record_with_unknown_or_missing_keys_is_refused(record_of: MakeRecord) -> None:
    content = json.loads(record_of().model_dump_json())
    for change in ({"new": 1}, {"trial": {}}, {"status": "done"}):
        with pytest.raises(ValidationError):
            Record.model_validate_json(json.dumps(content | change))


def test_metrics_are_per_cent_by_split_and_the_plain_mean_of_ood_domains(full_record: Record) -> None:
    assert full_record.metrics() == pytest.approx(
        {
            "id/val/top1": 100 / 3,
            "id/test/top1": 87.5,
            "ood/sketch/val/top1": 25.0,
            "ood/sketch/test/top1": 10.0,
            "ood/quickdraw/test/top1": 90.0,
            "ood/val/top1": 25.0,
            "ood/test/top1": 50.0,  # each domain counts the same, however many images it has
        }
    )


def test_without_ood_domains_there_is_no_ood_metric() -> None:
    assert accuracies({"id/val": Count(correct=1, total=2)}) == {"id/val/top1": 50.0}
    assert accuracies({}) == {}


def test_weights_read_back_to_the_bit(store: RecordStore) -> None:
    weights = {"visual.a": torch.randn(3, 4), "head.b": torch.arange(3), "half": torch.ones(2, dtype=torch.bfloat16)}
    store.write_weights("full-000", weights)
    again = store.read_weights("full-000")
    assert again.keys() == weights.keys()
    assert all(torch.equal(again[key], weights[key]) and again[key].dtype == weights[key].dtype for key in weights)


def test_checkpoints_are_removed_and_nothing_else(store: RecordStore, record_of: MakeRecord) -> None:
    store.write(record_of())
    store.remove_checkpoints("full-000")  # there is none: nothing happens
    store.checkpoint_folder("full-000").mkdir(parents=True)
    (store.checkpoint_folder("full-000") / "epoch-0001.safetensors").write_bytes(b"x")
    store.remove_checkpoints("full-000")
    assert [path.name for path in store.trial_folder("full-000").iterdir()] == ["record.json"]


def test_a_later_attempt_shuts_out_an_earlier_one(store: RecordStore, record_of: MakeRecord) -> None:
    first = store.claim(record_of())
    assert (first.attempt, store.read("full-000")) == (1, first)
    earlier = AttemptStore(store.folder, first)
    earlier.write(first.model_copy(update={"error": "still may"}))
    assert earlier.attempt().error == "still may"
    second = store.claim(store.read("full-000"))
    assert (second.attempt, second.error) == (2, "still may")
    for write in (
        lambda: earlier.write(first),
        lambda: earlier.write_weights("full-000", {"w": torch.zeros(1)}),
        lambda: earlier.write_images("full-000", {}),
    ):
        with pytest.raises(SupersededError):
            write()
    assert store.read("full-000") == second
    assert [path.name for path in store.trial_folder("full-000").iterdir()] == ["record.json"]
    AttemptStore(store.folder, second).write_weights("full-000", {"w": torch.zeros(1)})


def test_the_first_attempt_at_a_trial_whose_record_was_lost_starts_anew(
    store: RecordStore, record_of: MakeRecord
) -> None:
    checkpoint = store.checkpoint_folder("full-000") / "epoch-0002.safetensors"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"of hyperparameters that nobody knows any more")
    store.claim(record_of())
    assert not checkpoint.exists()


def test_a_damaged_record_is_left_out_and_told(store: RecordStore, record_of: MakeRecord) -> None:
    for number in range(4):
        store.write(record_of(f"full-{number:03d}"))
    whole = (store.trial_folder("full-000") / "record.json").read_bytes()
    (store.trial_folder("full-001") / "record.json").write_bytes(whole[: len(whole) // 2])
    (store.trial_folder("full-002") / "record.json").write_bytes(b"")
    (store.trial_folder("full-003") / "record.json").write_bytes(whole)
    told: list[str] = []
    assert [r.trial.id for r in store.read_all(lambda damage: told.append(str(damage)))] == ["full-000"]
    assert sorted(line.rpartition("'")[2] for line in told) == [
        " is damaged",
        " is damaged",
        " is the record of another trial, full-000",
    ]


def test_damaged_or_missing_weights_are_said(store: RecordStore) -> None:
    store.write_weights("full-000", {"w": torch.zeros(3)})
    path = store.trial_folder("full-000") / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    for trial_id in ("full-000", "full-001"):
        with pytest.raises(UserError, match=f"remove the folder of {trial_id}, and the sweep trains it again"):
            store.read_weights(trial_id)


def test_what_was_written_beside_and_left_is_removed(tmp_path: Path) -> None:
    store = RecordStore(UPath(tmp_path))
    left = tmp_path / "trials" / "full-000" / "checkpoint" / "epoch-0001.safetensors.host.7.7.part"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    store.remove_parts(store.folder)
    assert list(left.parent.iterdir()) == []


def test_a_trial_that_an_outliving_process_has_finished_is_not_begun_again(
    store: RecordStore, record_of: MakeRecord
) -> None:
    first = store.claim(record_of())
    read_by_the_next_command = store.read("full-000")
    finished = first.model_copy(update={"status": "finished", "ended": 2.0})
    AttemptStore(store.folder, first).write(finished)
    assert store.claim(read_by_the_next_command) == finished
    assert store.read("full-000") == finished


def test_one_that_failed_is_begun_again_when_asked(store: RecordStore, record_of: MakeRecord) -> None:
    failed = record_of(status="failed", attempt=2, failures=2, error="no", ended=2.0)
    store.write(failed)
    begun = store.claim(failed.again())
    assert (begun.status, begun.attempt, begun.failures, begun.error) == ("running", 3, 0, None)


def test_an_attempt_that_failed_still_counts_in_the_next(store: RecordStore, record_of: MakeRecord) -> None:
    first = store.claim(record_of())
    assert store.claim(first.model_copy(update={"failures": 1})).failures == 1


def test_what_is_begun_as_asked_is_later_than_all_that_was_begun_since(
    store: RecordStore, record_of: MakeRecord
) -> None:
    failed = record_of(status="failed", attempt=2, ended=2.0)
    store.write(failed.of_attempt(5))
    assert store.claim(failed.again()).attempt == 6
