"""Optuna's studies of a sweep, as Optuna itself reads them."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

from fpray.errors import UserError
from fpray.search.export import export_studies
from tests.search.scheduled import Run, sweep_of


def test_every_study_is_there_with_its_trials(tmp_path: Path) -> None:
    sweep = sweep_of(seeds=(0, 1))
    run = Run(sweep).to_the_end()
    records = list(run.stored.values())
    storage = f"sqlite:///{tmp_path}/studies.db"
    assert export_studies(sweep, records, storage) == ["any/zero_shot", "any/full", "any/l2", "any/wise_ft"]
    study = optuna.load_study(study_name="any/full", storage=storage)
    assert study.metric_names == ["id/val/top1", "ood/val/top1"]
    states = [trial.state for trial in study.trials]
    assert len(states) == 18 and states.count(TrialState.FAIL) == 2  # numbers 1 and 7
    done = study.trials[0]
    assert isinstance(done.distributions["lr"], FloatDistribution) and done.distributions["lr"].log
    own = [r for r in records if r.trial.configuration == "full-000"]
    assert done.params == own[0].trial.params
    assert done.values[0] == pytest.approx(sum(r.metrics()["id/val/top1"] for r in own) / 2)
    derived = optuna.load_study(study_name="any/wise_ft", storage=storage)
    assert isinstance(derived.trials[0].distributions["source"], CategoricalDistribution)
    with pytest.raises(UserError, match="has a study 'any/zero_shot' already"):
        export_studies(sweep, records, storage)


def test_values_of_an_earlier_range_are_kept(tmp_path: Path) -> None:
    run = Run(sweep_of({"l2": {"trials": 3}})).to_the_end()
    narrow = sweep_of({"l2": {"trials": 3, "lr": {"log": [1.0, 2.0]}, "kappa": {"choice": [7.0]}}})
    storage = f"sqlite:///{tmp_path}/studies.db"
    export_studies(narrow, run.stored.values(), storage)
    ran = [r.trial.params for r in sorted(run.stored.values(), key=lambda r: r.trial.number)]
    drawn = [{key: params[key] for key in ("lr", "kappa")} for params in ran]  # the others are constants
    assert [t.params for t in optuna.load_study(study_name="any/l2", storage=storage).trials] == drawn


def test_what_is_no_storage_is_a_sentence() -> None:
    run = Run(sweep_of({"l2": {"trials": 1}})).to_the_end()
    with pytest.raises(UserError, match="can't write studies to 'nosuch:///x'"):
        export_studies(run.schedule.sweep, run.stored.values(), "nosuch:///x")
