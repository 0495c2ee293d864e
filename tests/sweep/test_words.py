"""The words for how trials go on: failures, epochs, the best so far."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fpray.records.record import Count, Epoch, Record
from fpray.search.schedule import Schedule
from fpray.sweep.words import best_lines, duration, end_sentence, epoch_sentence, epoch_words, why_it_failed
from tests.sweeps import sweep_of

Make = Callable[..., Record]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (None, "its process died"),
        ("Traceback\n  here\nValueError: no: never", "ValueError: no: never"),
        ("Traceback\ntorch._dynamo.exc.Unsupported: what is this", "Unsupported: what is this"),
        ("Traceback\nfpray.training.loop.TrainingError: the loss is not finite: nan", "the loss is not finite: nan"),
        ("stack\nno sign of life for 3 seconds; it stood there", "no sign of life for 3 seconds; it stood there"),
    ],
)
def test_a_failure_is_told_without_the_path_of_a_class(
    error: str | None, said: str, record_of: Callable[..., Record]
) -> None:
    assert why_it_failed(record_of(error=error)) == said


def counts(id_val: int, ood_val: int) -> dict[str, Count]:
    found = {"id/val": id_val, "ood/a/val": ood_val, "id/test": 1, "ood/a/test": 1}
    return {split: Count(correct=correct, total=100) for split, correct in found.items()}


def epoch(number: int) -> Epoch:
    losses = {"cross_entropy": 0.51234, "l2": 0.1}
    validation = {split: count for split, count in counts(61, 50).items() if split.endswith("/val")}
    return Epoch(
        epoch=number, step=1, lr=0.1, losses=losses, validation=validation, images=1000, seconds=0.5,
        validation_seconds=0.1, ended=1.0,
    )  # fmt: skip


def test_accuracies_on_the_way_are_said_to_be_of_validation(record_of: Make) -> None:
    schedule = Schedule(sweep_of(), [])
    finished = record_of("full-000", status="finished", results=counts(61, 50))
    assert end_sentence(finished, schedule) == "full-000         val ID  61.0  OOD  50.0  lr=1e-05"
    running = record_of("full-001", history=(epoch(1), epoch(2)))
    assert epoch_sentence(running, schedule) == (
        "full-001 epoch 2/10  cross_entropy 0.512  l2 0.1  2,000 images/s  val ID 61.0  OOD 50.0"
    )
    assert epoch_words(record_of("full-001"), 10) == "has begun"
    with_its_own = running.model_copy(update={"trial": running.trial.model_copy(update={"params": {"epochs": 3}})})
    assert " epoch 2/3 " in epoch_sentence(with_its_own, schedule)


def test_the_best_are_models_with_both_accuracies(record_of: Make) -> None:
    records = [
        record_of("full-000", status="finished", results=counts(61, 50)),
        record_of("full-001", status="finished", results=counts(55, 58)),
    ]
    assert best_lines(Schedule(sweep_of(), records)) == [
        "best val ID so far: full-000 ID  61.0  OOD  50.0",
        "best val OOD so far: full-001 ID  55.0  OOD  58.0",
    ]
    assert best_lines(Schedule(sweep_of(), [])) == []


@pytest.mark.parametrize(
    ("seconds", "said"), [(40.4, "40 s"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (59.7, "1 min 0 s")]
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said
