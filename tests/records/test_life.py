"""A record's life: each step gives the record that follows, and refuses what can't be."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydantic import ValidationError

from fpray.model import Model
from fpray.records import Count, Epoch, Provenance, Record, Trial, configuration_id, configuration_of, trial_id

MakeRecord = Callable[..., Record]
PROVENANCE = Provenance(versions={"torch": "2"}, commit=None, device="cpu")
RESULTS = {"id/val": Count(correct=1, total=2)}


def history(epochs: int) -> tuple[Epoch, ...]:
    fields = {"lr": 0.1, "losses": {}, "validation": {}, "images": 1, "seconds": 1.0, "validation_seconds": 0.0}
    return tuple(Epoch(epoch=n, step=n, ended=float(n), **fields) for n in range(1, epochs + 1))


def test_from_its_begin_to_its_end(record_of: MakeRecord) -> None:
    begun = record_of().begun(failures=0)
    assert (begun.attempt, begun.has_ended) == (1, False)
    working = begun.resumed((), PROVENANCE)
    assert working.provenance == PROVENANCE
    trained = working.with_error("the attempt before").after_epoch(history(1)).after_epoch(history(2))
    assert (len(trained.history), trained.error) == (2, None)
    finished = trained.finished(results=RESULTS)
    assert (finished.status, finished.has_ended, finished.results) == ("finished", True, RESULTS)
    assert finished.ended is not None


def test_an_epoch_ends_a_row_of_failures(record_of: MakeRecord) -> None:
    failing = record_of().begun(0).attempt_failed(max_failures=2).attempt_failed(max_failures=2)
    assert (failing.failures, failing.status) == (2, "running")
    assert failing.after_epoch(history(1)).failures == 0
    failed = failing.with_error("ValueError: no").attempt_failed(max_failures=2)
    assert (failed.failures, failed.status, failed.error) == (3, "failed", "ValueError: no")
    assert record_of().attempt_failed(max_failures=0).error == "the trial's process ended before the trial did"


def test_an_attempt_that_gets_no_further_than_another_did_is_one_more_failure(record_of: MakeRecord) -> None:
    """It may have epochs to do again that the one before it did: not each has a checkpoint."""
    record = record_of()
    for failures in (1, 2):
        record = record.begun(record.failures).resumed((), PROVENANCE)
        for epochs in (1, 2):
            record = record.after_epoch(history(epochs))
        record = record.attempt_failed(max_failures=1)
        assert record.failures == failures
    assert (record.status, record.attempt) == ("failed", 2)
    further = record.again().begun(1).resumed((), PROVENANCE).after_epoch(history(2))
    assert (further.failures, further.after_epoch(history(3)).failures) == (1, 0)


def test_the_newest_checkpoint_is_known(record_of: MakeRecord) -> None:
    working = record_of().begun(0).resumed((), PROVENANCE).after_epoch(history(1))
    assert working.checkpoint == 0
    assert working.with_checkpoint(2).after_epoch(history(2)).after_epoch(history(3)).checkpoint == 2
    assert working.resumed(history(2), PROVENANCE).checkpoint == 2


def test_a_failed_trial_goes_on_again_with_what_it_had(record_of: MakeRecord) -> None:
    failed = record_of().begun(0).after_epoch(history(1)).failed("no")
    again = failed.again()
    assert (again.status, again.failures, again.error, again.ended) == ("running", 0, None, None)
    assert again.history == failed.history


def test_what_has_ended_changes_no_more(record_of: MakeRecord) -> None:
    for ended in (record_of().finished(results=RESULTS), record_of().failed("no")):
        for step in (
            lambda r: r.begun(0),
            lambda r: r.resumed((), PROVENANCE),
            lambda r: r.after_epoch(history(1)),
            lambda r: r.finished(results=RESULTS),
            lambda r: r.failed("again"),
            lambda r: r.with_error("again"),
            lambda r: r.attempt_failed(1),
        ):
            with pytest.raises(ValueError, match=f"full-000 has {ended.status} already"):
                step(ended)


def test_what_cannot_be_is_refused(record_of: MakeRecord) -> None:
    record = record_of().after_epoch(history(2))
    with pytest.raises(ValueError, match="full-000 has 2 epochs already"):
        record.after_epoch(history(2))
    with pytest.raises(ValueError, match="full-000 has not failed"):
        record.again()
    with pytest.raises(ValidationError):
        record.finished(results={"id/val": "all of them"})
    with pytest.raises(ValidationError):
        record.begun(failures=-1)
    with pytest.raises(ValidationError):
        Count(correct=-1, total=3)


def test_a_record_without_a_model_gets_one(record_of: MakeRecord) -> None:
    assert record_of().trial.model is None
    assert record_of().of_model(Model(name="ViT-B-16")).trial.model == Model(name="ViT-B-16")


@pytest.mark.parametrize(
    ("study", "number", "draw", "seed", "draws", "seeds", "expected"),
    [
        ("full", 3, 0, 0, 1, 1, "full-003"),
        ("full", 1234, 0, 7, 1, 2, "full-1234-s7"),
        ("full", 3, 4, 0, 5, 1, "full-003-d4"),
        ("full", 3, 4, 1, 5, 2, "full-003-d4-s1"),
        ("l2-ViT-B-16", 0, 0, 1, 1, 3, "l2-ViT-B-16-000-s1"),
        ("kd-a-s1-007", 12, 0, 0, 1, 1, "kd-a-s1-007-012"),  # a model may be called anything
    ],
)
def test_an_id_is_made_and_taken_apart(
    study: str, number: int, draw: int, seed: int, draws: int, seeds: int, expected: str
) -> None:
    made = trial_id(configuration_id(study, number), draw, seed, draws=draws, seeds=seeds)
    assert made == expected
    assert configuration_of(made) == configuration_id(study, number)
    trial = Trial(id=made, method="any", number=number, seed=seed, params={})
    assert trial.configuration == configuration_id(study, number)
