from __future__ import annotations

from collections.abc import Callable

from fpray.records import Count, Epoch, Record
from fpray.tracked import epoch_points, final_points

EPOCH = Epoch(
    epoch=2, step=8, lr=0.1, losses={"kl": 0.5}, validation={"id/val": Count(correct=5, total=10)}, images=10,
    seconds=2.0, validation_seconds=0.5, ended=1.7e9,
)  # fmt: skip
RESULTS = {"id/val": Count(correct=5, total=10), "id/test": Count(correct=6, total=10)}


def test_an_epochs_points_end_with_the_one_that_counts_epochs() -> None:
    points = epoch_points(EPOCH)
    assert {point.key: point.value for point in points} == {
        "id/val/top1": 50,
        "loss/kl": 0.5,
        "lr": 0.1,
        "images_per_second": 5,
        "epoch": 2,
    }
    assert points[-1].key == "epoch"
    assert {(point.time, point.step) for point in points} == {(1_700_000_000_000, 2)}


def test_the_final_validation_is_the_last_epochs_where_there_was_one(record_of: Callable[..., Record]) -> None:
    ended = {"status": "finished", "results": RESULTS, "ended": 1.8e9}
    assert [(p.key, p.step) for p in final_points(record_of(**ended))] == [("id/val/top1", 0), ("id/test/top1", 0)]
    assert [(p.key, p.step) for p in final_points(record_of(history=(EPOCH,), **ended))] == [("id/test/top1", 1)]
