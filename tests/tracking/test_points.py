"""What a run in MLflow is to hold of an epoch and of a trial's end."""

from __future__ import annotations

from collections.abc import Callable

from fpray.records.record import Count, Epoch, Record
from fpray.tracking.names import Names
from fpray.tracking.points import epoch_points, final_points

EPOCH = Epoch(
    epoch=2, step=8, lr=0.1, losses={"kl": 0.5}, validation={"id/val": Count(correct=5, total=10)}, images=10,
    seconds=2.0, validation_seconds=0.5, ended=1.7e9,
)  # fmt: skip
RESULTS = {"id/val": Count(correct=5, total=10), "id/test": Count(correct=6, total=10)}


def test_an_epochs_points_end_with_the_one_that_counts_epochs() -> None:
    points = epoch_points(EPOCH, Names())
    assert {point.key: point.value for point in points} == {
        "val/id": 50,
        "loss/kl": 0.5,
        "lr": 0.1,
        "images_per_second": 5,
        "epoch": 2,
    }
    assert points[-1].key == "epoch"
    assert {(point.time, point.step) for point in points} == {(1_700_000_000_000, 2)}


def test_the_final_validation_is_the_last_epochs_where_there_was_one(record_of: Callable[..., Record]) -> None:
    ended = {"status": "finished", "results": RESULTS, "ended": 1.8e9}
    assert [(p.key, p.step) for p in final_points(record_of(**ended), Names())] == [("val/id", 0), ("test/id", 0)]
    assert [(p.key, p.step) for p in final_points(record_of(history=(EPOCH,), **ended), Names())] == [("test/id", 1)]
