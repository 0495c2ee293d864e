"""The schedule with several models: compared, each with trials of its own, or searched like a hyperparameter."""

from __future__ import annotations

from collections import Counter
from typing import Any

from fpray.config.schema import Sweep
from fpray.model.names import Model
from fpray.search.schedule import Schedule, Wait
from tests.search.scheduled import Run, outcome, sweep_of

METHODS: dict[str, Any] = {"zero_shot": {}, "full": {"trials": 3}, "wise_ft": {"trials": 4}}
SMALL, BASE, LARGE = "ViT-B-32", "ViT-B-16", "ViT-L-14"


def compared(*models: str, methods: dict[str, Any] = METHODS, **search: Any) -> Sweep:
    return sweep_of(methods, model=list(models), **search)


def of_model(run: Run, model: str) -> dict[str, Any]:
    """Hyperparameters of a model's trials, by id."""
    return {trial_id: params for trial_id, params in run.params.items() if f"-{model}-" in trial_id}


def test_every_method_gets_its_trials_on_every_model() -> None:
    whole = Run(compared(SMALL, "timm/other model")).to_the_end()
    assert whole.schedule.planned == len(whole.begun) == 2 * (1 + 3 + 4)
    names = Counter(trial_id.rpartition("-")[0] for trial_id in whole.ids)
    assert names == {
        f"{method}-{short}": trials
        for short in (SMALL, "other_model")
        for method, trials in (("zero_shot", 1), ("full", 3), ("wise_ft", 4))
    }
    for record in whole.begun:
        name = SMALL if SMALL in record.trial.id else "timm/other model"
        assert record.trial.model == Model(name=name)
        assert "model" not in record.trial.params


def test_one_model_keeps_the_short_ids_and_is_recorded() -> None:
    whole = Run(sweep_of({"full": {"trials": 2}}, model=BASE)).to_the_end()
    assert whole.ids == ["full-000", "full-001"]
    assert {record.trial.model for record in whole.begun} == {Model(name=BASE)}


def test_suggestions_of_a_lane_are_its_own() -> None:
    both = Run(compared(SMALL, BASE)).to_the_end()
    learning_rates = [params["lr"] for trial_id, params in both.params.items() if trial_id.startswith("full")]
    assert len(set(learning_rates)) == 6


def test_models_come_one_after_the_other() -> None:
    schedule = Schedule(compared(SMALL, BASE, methods={"full": {"trials": 3}, "l2": {"trials": 2}}, lag=8), [])
    asked = [schedule.ask() for _ in range(10)]
    assert [r.trial.id.rpartition("-")[0] for r in asked] == [
        f"{method}-{model}" for model in (SMALL, BASE) for method in ("full", "l2", "full", "l2", "full")
    ]
    assert schedule.ask() is Wait.NOTHING_LEFT


def test_the_next_model_starts_while_interpolation_waits_and_steps_back_after() -> None:
    schedule = Schedule(compared(SMALL, BASE, methods={"full": {"trials": 1}, "wise_ft": {"trials": 1}}), [])
    first, second = schedule.ask(), schedule.ask()
    assert [first.trial.id, second.trial.id] == [f"full-{SMALL}-000", f"full-{BASE}-000"]
    assert schedule.ask() is Wait.FOR_RESULTS
    schedule.tell(outcome(second))
    schedule.tell(outcome(first))
    assert [schedule.ask().trial.id for _ in range(2)] == [f"wise_ft-{SMALL}-000", f"wise_ft-{BASE}-000"]
    assert schedule.ask() is Wait.NOTHING_LEFT


def test_interpolation_takes_trials_of_its_own_model_only() -> None:
    many = compared(SMALL, BASE, methods={"full": {"trials": 3}, "wise_ft": {"trials": 30}}, sampler="random", lag=30)
    whole = Run(many).to_the_end()
    for model in (SMALL, BASE):
        sources = {p["source"] for i, p in of_model(whole, model).items() if i.startswith("wise_ft")}
        assert sources == {f"full-{model}-000", f"full-{model}-002"}  # 001 fails


def test_a_model_whose_sources_failed_leaves_the_others_theirs() -> None:
    schedule = Schedule(compared(SMALL, BASE, methods={"full": {"trials": 1}, "wise_ft": {"trials": 2}}), [])
    schedule.tell(schedule.ask().failed("NaN"))
    schedule.tell(outcome(schedule.ask()))
    assert [schedule.ask().trial.id for _ in range(2)] == [f"wise_ft-{BASE}-{n:03d}" for n in range(2)]
    assert schedule.ask() is Wait.NOTHING_LEFT
    assert schedule.planned == 4


def test_models_can_be_added_and_left_out_in_any_order() -> None:
    all_three = Run(compared(SMALL, BASE, LARGE)).to_the_end()
    killed = Run(compared(SMALL, BASE)).for_events(7)
    alone = Run(compared(BASE), killed.stored.values(), order=2).to_the_end()
    assert of_model(alone, BASE) == of_model(all_three, BASE)
    assert alone.schedule.planned == len(alone.schedule.wanted()) == 8
    extended = Run(compared(LARGE, BASE, SMALL), alone.stored.values(), order=3).to_the_end()
    assert extended.params == all_three.params


def test_a_second_model_extends_a_sweep_of_one_whenever_it_is_killed() -> None:
    before = Run(sweep_of(METHODS | {"full": {"trials": 2}}, model=SMALL)).to_the_end()
    both = compared(SMALL, BASE)
    whole = Run(both, before.stored.values()).to_the_end()
    assert {i: whole.params[i] for i in before.params} == before.params
    new = {i for i in whole.params if i not in before.params}
    assert new == {f"full-{SMALL}-002", *of_model(Run(both).to_the_end(), BASE)}
    for count in range(2 * len(whole.begun) + 1):
        killed = Run(both, before.stored.values(), order=count).for_events(count)
        assert Run(both, killed.stored.values(), order=count + 1).to_the_end().params == whole.params


def test_records_without_a_model_are_of_the_only_one() -> None:
    sweep = sweep_of({"full": {"trials": 3}, "wise_ft": {"trials": 2}}, model=BASE)
    whole = Run(sweep).to_the_end()
    old = [r.model_copy(update={"trial": r.trial.model_copy(update={"model": None})}) for r in whole.stored.values()]
    assert Run(sweep, old).schedule.complete
    without_one = [r for r in old if r.trial.id != "wise_ft-001"]
    again = Run(sweep, without_one).to_the_end()
    assert again.params == whole.params
    assert [r.trial.model for r in again.begun] == [Model(name=BASE)]
    assert Schedule(compared(SMALL, BASE), old).wanted() == []


SEARCHED = sweep_of(
    {"zero_shot": {}, "linear_probe": {"lr": {"grid": [0.1, 0.01]}}, "full": {"trials": 9}, "wise_ft": {"trials": 9}},
    seeds=(0, 1),
    model={"choice": [SMALL, BASE]},
)


def test_a_searched_model_is_a_hyperparameter_of_what_trains() -> None:
    whole = Run(SEARCHED).to_the_end()
    trials = [record.trial for record in whole.stored.values()]
    assert all(whole.params[trial.id]["model"] == trial.model.name for trial in trials)
    assert {trial.model.name for trial in trials if trial.method == "full"} == {SMALL, BASE}
    for trial in trials:
        other = whole.stored[trial.id.replace(f"-s{trial.seed}", f"-s{1 - trial.seed}")].trial
        assert other.model == trial.model


def test_what_no_sampler_chooses_is_tried_on_every_model() -> None:
    whole = Run(SEARCHED).to_the_end()
    assert [whole.params[f"zero_shot-00{n}-s0"] for n in range(2)] == [{"model": SMALL}, {"model": BASE}]
    probes = [whole.params[f"linear_probe-00{n}-s1"] for n in range(4)]
    assert probes == [{"model": model, "lr": lr, "weight_decay": 0.0} for model in (SMALL, BASE) for lr in (0.1, 0.01)]
    assert whole.schedule.planned == 2 * (2 + 4 + 9 + 9)


def test_interpolation_has_the_model_of_its_source() -> None:
    whole = Run(SEARCHED).to_the_end()
    trials = [record.trial for record in whole.stored.values() if record.trial.method == "wise_ft"]
    assert {trial.model.name for trial in trials} == {SMALL, BASE}
    assert all(trial.model == whole.stored[trial.sources[0]].trial.model for trial in trials)


def test_another_choice_extends_a_search() -> None:
    before = Run(sweep_of({"zero_shot": {}, "full": {"trials": 3}}, model={"choice": [SMALL, BASE]})).to_the_end()
    longer = sweep_of({"zero_shot": {}, "full": {"trials": 20}}, model={"choice": [SMALL, BASE, LARGE]})
    extended = Run(longer, before.stored.values()).to_the_end()
    assert {i: extended.params[i] for i in before.params} == before.params
    assert extended.params["zero_shot-002"] == {"model": LARGE}
    assert LARGE in {params["model"] for trial_id, params in extended.params.items() if trial_id.startswith("full")}
