"""Failed trials tried again: what the file has changed since is drawn anew, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fpray.config import Sweep
from fpray.records.record import Record
from fpray.search.again import tried_again
from tests.sweeps import sweep_of

Make = Callable[..., Record]
L2 = {"lr": 1e-4, "weight_decay": 0.0, "strength": 1e12, "form": "coupled"}


def file_of(strength: object) -> Sweep:
    return sweep_of(methods={"l2": {"trials": 2, "lr": {"log": [1e-5, 1e-3]}, "strength": strength}})


def failed(make: Make, trial_id: str = "l2-000", **fields: object) -> Record:
    return make(trial_id, L2, **{"status": "failed", "error": "the loss is not finite", "start": 1} | fields)


def test_a_value_that_the_file_still_allows_is_kept(record_of: Make) -> None:
    record = failed(record_of)
    (again,) = tried_again([record], file_of({"choice": [1.0, 1e12]}), 2)
    assert again == record.again()
    assert (again.trial, again.start) == (record.trial, 1)


@pytest.mark.parametrize(("strength", "low", "high"), [(0.5, 0.5, 0.5), ({"log": [1e-3, 1.0]}, 1e-3, 1.0)])
def test_a_value_that_it_doesnt_is_drawn_anew(record_of: Make, strength: object, low: float, high: float) -> None:
    (again,) = tried_again([failed(record_of)], file_of(strength), 2)
    assert (again.status, again.history, again.start, again.error) == ("running", (), 2, None)
    assert again.trial.params["lr"] == L2["lr"]
    assert low <= again.trial.params["strength"] <= high
    assert [again] == tried_again([failed(record_of)], file_of(strength), 2)


def test_each_trial_gets_values_of_its_own(record_of: Make) -> None:
    first, second = tried_again([failed(record_of), failed(record_of, "l2-001")], file_of({"log": [1e-3, 1.0]}), 2)
    assert first.trial.params["strength"] != second.trial.params["strength"]


def test_seeds_of_one_configuration_stay_alike(record_of: Make) -> None:
    sweep = sweep_of(methods={"l2": {"trials": 1, "strength": {"log": [1e-3, 1.0]}}}, train={"seeds": [0, 1]})
    both = [failed(record_of, "l2-000-s0"), failed(record_of, "l2-000-s1", seed=1)]
    first, second = tried_again(both, sweep, 2)
    assert first.trial.params["strength"] == second.trial.params["strength"] != L2["strength"]
    finished = record_of("l2-000-s0", L2, status="finished")
    assert tried_again([finished, both[1]], sweep, 2) == [finished, both[1].again()]


def test_others_stay_as_they_are(record_of: Make) -> None:
    records = [record_of("l2-000", L2, status="finished"), record_of("l2-001", L2)]
    assert tried_again(records, file_of(0.5), 2) == records
    gone = failed(record_of, "kd-000")
    assert tried_again([gone], file_of(0.5), 2) == [gone.again()]
