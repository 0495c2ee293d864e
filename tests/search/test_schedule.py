"""The schedule, driven by made-up results: the same trials whenever it is killed and whichever trial ends first."""

from __future__ import annotations

from collections import Counter

import pytest

from fpray.config.schema import Sweep
from fpray.records.record import Record
from fpray.search.schedule import Schedule, Wait
from fpray.search.study import studies
from tests.search.scheduled import METHODS, Run, finished_at, outcome, sweep_of

SWEEPS = {
    "tpe": sweep_of(),
    "nsga2 with seeds": sweep_of(METHODS | {"full": {"trials": 3}}, seeds=(5, 0), sampler="nsga2", lag=0),
    "grids": sweep_of(
        {
            "full": {"lr": {"grid": [1e-6, 1e-5, 1e-4]}},
            "kd": {"form": {"grid": ["kl", "mse_logits"]}, "strength": {"log": [0.1, 1]}, "trials": 5},
            "wise_ft": {"alpha": {"grid": [0.2, 0.5]}, "trials": 4},
        },
        lag=1,
    ),
    "models compared": sweep_of(
        {"zero_shot": {}, "full": {"trials": 12}, "wise_ft": {"trials": 3}}, model=["ViT-B-32", "ViT-B-16"]
    ),
    "model searched": sweep_of(
        {"zero_shot": {}, "full": {"trials": 11}, "wise_ft": {"trials": 2}},
        seeds=(0, 1),
        model={"choice": ["ViT-B-32", "ViT-B-16"]},
    ),
}


@pytest.fixture(scope="module", params=SWEEPS)
def sweep(request: pytest.FixtureRequest) -> Sweep:
    return SWEEPS[request.param]


@pytest.fixture(scope="module")
def whole(sweep: Sweep) -> Run:
    """The uninterrupted run."""
    return Run(sweep).to_the_end()


def test_every_trial_is_dealt_once(sweep: Sweep, whole: Run) -> None:
    assert len(whole.begun) == len(set(whole.ids)) == whole.schedule.planned
    asked = Counter(study.name for record in whole.begun for study in studies(sweep) if study.has(record.trial))
    assert asked == {study.name: study.trials for study in studies(sweep)}
    assert whole.schedule.complete
    assert {record.trial.id for record in whole.schedule.wanted()} == set(whole.ids)
    assert whole.schedule.ask() is Wait.NOTHING_LEFT


def test_the_order_in_which_trials_end_changes_nothing(sweep: Sweep, whole: Run) -> None:
    for order, at_once in ((1, 1), (2, 2), (3, 16)):
        assert Run(sweep, order=order, at_once=at_once).to_the_end().params == whole.params


def test_killed_after_any_event_it_asks_for_the_same_trials(sweep: Sweep, whole: Run) -> None:
    for count in range(2 * len(whole.begun) + 1):
        killed = Run(sweep, order=count).for_events(count)
        ended = {trial_id for trial_id, record in killed.stored.items() if record.status != "running"}
        resumed = Run(sweep, killed.stored.values(), order=count + 1).to_the_end()
        assert resumed.params == whole.params, f"killed after {count} events"
        assert sorted(resumed.ids) == sorted(set(whole.ids) - ended)
        assert all(record.status != "running" for record in resumed.stored.values())


def test_killed_again_and_again_it_asks_for_the_same_trials(sweep: Sweep, whole: Run) -> None:
    stored: list[Record] = []
    for order in range(1000):
        stored = list(Run(sweep, stored, order).for_events(5).stored.values())
        if Run(sweep, stored).schedule.complete:
            break
    assert Run(sweep, stored).params == whole.params
    assert Run(sweep, stored).to_the_end().begun == []


def test_interrupted_trials_come_first_with_their_records(sweep: Sweep) -> None:
    killed = Run(sweep, order=3).for_events(9)
    interrupted = {trial_id for trial_id, record in killed.stored.items() if record.status == "running"}
    assert interrupted
    kept = {trial_id: killed.stored[trial_id].model_copy(update={"attempt": 2}) for trial_id in interrupted}
    resumed = Schedule(sweep, (killed.stored | kept).values())
    again = [resumed.ask() for _ in interrupted]
    assert {record.trial.id: record for record in again} == kept


def test_a_lost_record_is_asked_for_again_the_same(sweep: Sweep, whole: Run) -> None:
    for lost in whole.ids:
        resumed = Run(sweep, [r for trial_id, r in whole.stored.items() if trial_id != lost]).to_the_end()
        assert resumed.ids == [lost]
        assert resumed.params == whole.params


def test_methods_take_turns() -> None:
    run = Run(sweep_of({"full": {"trials": 4}, "l1": {"trials": 4}, "l2": {"trials": 2}}, lag=8))
    methods = [record.trial.method for record in (run.schedule.ask() for _ in range(10))]
    assert methods == ["full", "l1", "l2", "full", "l1", "l2", "full", "l1", "full", "l1"]
    assert run.schedule.ask() is Wait.NOTHING_LEFT


def test_a_method_waits_for_the_results_that_its_lag_asks_for() -> None:
    schedule = Schedule(sweep_of({"full": {"trials": 4}}, lag=1), [])
    first, second = schedule.ask(), schedule.ask()
    assert schedule.ask() is Wait.FOR_RESULTS
    schedule.tell(outcome(second))
    assert schedule.ask() is Wait.FOR_RESULTS
    schedule.tell(outcome(first))
    assert schedule.ask().trial.id == "full-002"


def test_ids_are_the_methods_and_the_number() -> None:
    whole = Run(SWEEPS["tpe"]).to_the_end()
    assert [i for i in whole.params if i.startswith("full")] == [f"full-{n:03d}" for n in range(18)]
    assert "zero_shot-000" in whole.params
    assert all(record.trial.id == f"{record.trial.method}-{record.trial.number:03d}" for record in whole.begun)


def test_interpolation_starts_when_its_sources_have_ended_and_takes_a_finished_one() -> None:
    whole, order = Run(SWEEPS["tpe"]), []
    for _ in whole.events():
        statuses = {trial_id: record.status for trial_id, record in whole.stored.items()}
        if any(trial_id.startswith("wise_ft") for trial_id in statuses):
            order.append(statuses)
    sources = {trial_id: s for trial_id, s in order[0].items() if trial_id.startswith(("full", "l2"))}
    assert Counter(sources.values()) == {"finished": 19, "failed": 2}
    taken = [whole.stored[f"wise_ft-{number:03d}"].trial for number in range(3)]
    assert all(sources[source] == "finished" for trial in taken for source in trial.sources)
    assert all(0 <= trial.params["alpha"] <= 1 for trial in taken)


def test_failed_sources_are_never_used() -> None:
    many = sweep_of({"full": {"trials": 3}, "wise_ft": {"trials": 40}}, sampler="random", lag=8)
    whole = Run(many).to_the_end()
    sources = {source for r in whole.begun if r.trial.method == "wise_ft" for source in r.trial.sources}
    assert sources == {"full-000", "full-002"}  # full-001 fails


def test_without_a_finished_source_nothing_is_left() -> None:
    schedule = Schedule(sweep_of({"full": {"trials": 2}, "wise_ft": {}}), [])
    asked = [schedule.ask(), schedule.ask()]
    assert schedule.ask() is Wait.FOR_RESULTS
    for record in asked:
        schedule.tell(record.failed("NaN"))
    assert schedule.ask() is Wait.NOTHING_LEFT


def test_every_seed_gets_the_same_hyperparameters_and_the_source_of_its_own_seed() -> None:
    whole = Run(SWEEPS["nsga2 with seeds"]).to_the_end()
    assert {i for i in whole.params if i.startswith("l2")} == {f"l2-{n:03d}-s{s}" for n in range(3) for s in (0, 5)}
    for record in whole.begun:
        trial = record.trial
        assert trial.id == f"{trial.method}-{trial.number:03d}-s{trial.seed}"
        other = whole.stored[trial.id.replace(f"-s{trial.seed}", f"-s{5 - trial.seed}")].trial
        if trial.method == "wise_ft":
            assert trial.sources[0].endswith(f"-s{trial.seed}")
            assert other.sources[0] == trial.sources[0].replace(f"-s{trial.seed}", f"-s{other.seed}")
            assert other.params["alpha"] == trial.params["alpha"]
        else:
            assert other.params == trial.params


def test_a_source_counts_only_with_every_seed_finished() -> None:
    sweep = sweep_of({"full": {"trials": 2}, "wise_ft": {"trials": 12}}, seeds=(0, 1), sampler="random", lag=12)
    schedule = Schedule(sweep, [])
    for record in [schedule.ask() for _ in range(4)]:
        fails = record.trial.id == "full-000-s1"
        schedule.tell(record.failed("NaN") if fails else finished_at(record, 1, 1))
    sources = {schedule.ask().trial.sources[0] for _ in range(24)}
    assert sources == {"full-001-s0", "full-001-s1"}


def test_objectives_are_means_over_seeds_and_failures_are_told() -> None:
    schedule = Schedule(sweep_of({"full": {"trials": 3}}, seeds=(0, 1), lag=0), [])
    first = [schedule.ask(), schedule.ask()]
    schedule.tell(finished_at(first[0], 40, 20))
    assert schedule.ask() is Wait.FOR_RESULTS  # the other seed runs
    schedule.tell(finished_at(first[1], 60, 26))
    second = [schedule.ask(), schedule.ask()]
    schedule.tell(finished_at(second[0], 90, 90))
    schedule.tell(second[1].failed("NaN"))
    schedule.ask()
    trials = schedule._underway[schedule.studies[0]].searcher._study.trials
    assert [(t.state.name, t.values) for t in trials] == [("COMPLETE", [50, 23]), ("FAIL", None), ("RUNNING", None)]


def test_a_search_on_id_alone_is_told_id_alone() -> None:
    schedule = Schedule(sweep_of({"full": {"trials": 2}}, lag=0, objectives=["id/val/top1"]), [])
    schedule.tell(finished_at(schedule.ask(), 40, 20))
    schedule.ask()
    trials = schedule._underway[schedule.studies[0]].searcher._study.trials
    assert [(t.state.name, t.values) for t in trials] == [("COMPLETE", [40]), ("RUNNING", None)]


def test_more_trials_extend_a_sweep() -> None:
    short = Run(sweep_of({"full": {"trials": 15}, "wise_ft": {"of": ["full"], "trials": 2}})).to_the_end()
    longer = sweep_of({"full": {"trials": 18}, "wise_ft": {"of": ["full"], "trials": 4}})
    extended = Run(longer, short.stored.values(), order=5).to_the_end()
    assert {i: extended.params[i] for i in short.params} == short.params
    assert sorted(extended.ids) == ["full-015", "full-016", "full-017", "wise_ft-002", "wise_ft-003"]
    at_once = Run(longer).to_the_end()
    full = [i for i in extended.params if i.startswith("full")]
    assert {i: extended.params[i] for i in full} == {i: at_once.params[i] for i in full}


def test_another_method_extends_a_sweep() -> None:
    before = Run(sweep_of({"full": {"trials": 3}})).to_the_end()
    methods = {"full": {"trials": 3}, "l2": {"trials": 2}}
    extended = Run(sweep_of(methods), before.stored.values()).to_the_end()
    assert sorted(extended.ids) == ["l2-000", "l2-001"]
    assert extended.params == Run(sweep_of(methods)).to_the_end().params


def test_fewer_trials_keep_the_records_and_want_less() -> None:
    before = Run(sweep_of({"full": {"trials": 5}, "l2": {"trials": 2}})).to_the_end()
    after = Run(sweep_of({"full": {"trials": 2}}), before.stored.values()).to_the_end()
    assert after.begun == []
    assert after.schedule.planned == 2
    assert [record.trial.id for record in after.schedule.wanted()] == ["full-000", "full-001"]
    assert after.schedule.complete


def test_it_is_complete_only_when_every_trial_has_ended() -> None:
    schedule = Schedule(sweep_of({"full": {"trials": 2}}), [])
    asked = [schedule.ask(), schedule.ask()]
    assert not schedule.complete
    schedule.tell(outcome(asked[0]))
    assert not schedule.complete
    schedule.tell(outcome(asked[1]))  # failed, which is an end too
    assert schedule.complete
