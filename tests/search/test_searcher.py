"""Search: a suggestion depends on the seed, the trial's number and the results told so far, and on nothing else."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest

from fpray.config.schema import Search
from fpray.search.searcher import Objectives, Searcher
from fpray.space import Choice, Constant, Grid, Int, Log, Params, Space, Uniform

SPACE: Space = {
    "lr": Log(1e-5, 1e-2),
    "strength": Uniform(0.0, 1.0),
    "rank": Int(1, 16),
    "form": Choice(("a", "b", "c")),
    "fixed": Constant(4),
}
SAMPLERS = ["tpe", "nsga2", "random"]


def values_of(params: Params) -> Objectives:
    """A made-up trade-off."""
    strength, rank = float(params["strength"]), int(params["rank"])
    return 80 - 20 * (strength - 0.3) ** 2, 50 + 10 * strength - 0.1 * rank


def study_of(space: Space = SPACE, method: str = "l2", **search: Any) -> Searcher:
    return Searcher(method, space, Search.model_validate({"startup": 0} | search))


def run(study: Searcher, trials: int, shuffle: random.Random | None = None) -> list[Params]:
    """Suggest and tell, up to `lag` trials behind, their results in any order."""
    suggested: list[Params] = []
    running: list[int] = []
    while len(suggested) < trials:
        if study.ready and (shuffle is None or not running or shuffle.random() < 0.6):
            running.append(len(suggested))
            suggested.append(study.suggest())
        else:
            number = running.pop(0 if shuffle is None else shuffle.randrange(len(running)))
            study.tell(number, values_of(suggested[number]))
    return suggested


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_search_on_id_alone_does_not_see_ood(sampler: str) -> None:
    def suggestions(ood: float) -> list[Params]:
        study, found = study_of(sampler=sampler, lag=0, objectives=["id/val/top1"]), []
        for number in range(LENGTH[sampler]):
            found.append(study.suggest())
            study.tell(number, values_of(found[-1])[:1])
        return found

    assert suggestions(0.0) == suggestions(90.0)
    if sampler != "random":
        both = run(study_of(sampler=sampler, lag=0), LENGTH[sampler])
        assert suggestions(0.0) != both  # it learns from ID alone


# NSGA-II first learns from results after a population of 50, TPE after 10 trials.
LENGTH = {"tpe": 24, "nsga2": 110, "random": 12}


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("lag", [0, 3])
def test_suggestions_are_the_same_whatever_order_results_arrive_in(sampler: str, lag: int) -> None:
    expected = run(study_of(sampler=sampler, lag=lag), LENGTH[sampler])
    for seed in range(3):
        assert run(study_of(sampler=sampler, lag=lag), LENGTH[sampler], random.Random(seed)) == expected


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_replayed_study_goes_on_as_the_uninterrupted_one(sampler: str) -> None:
    length = LENGTH[sampler]
    expected = run(study_of(sampler=sampler, lag=2), length)
    for stop in (1, length // 2, length - 4):
        study = study_of(sampler=sampler, lag=2)
        for number, params in enumerate(expected[:stop]):
            study.tell(number, values_of(params))
            study.replay(params)
        suggested = []
        for number in range(stop, length):
            assert study.ready
            suggested.append(study.suggest())
            study.tell(number, values_of(suggested[-1]))
        assert suggested == expected[stop:]


def test_suggestions_stay_in_the_space_and_differ() -> None:
    suggested = run(study_of(sampler="random"), 30)
    assert all(params[name] in SPACE[name] for params in suggested for name in SPACE)
    assert all(list(params) == list(SPACE) for params in suggested)
    assert len({params["lr"] for params in suggested}) == 30
    assert {params["form"] for params in suggested} == {"a", "b", "c"}
    assert all(isinstance(params["rank"], int) for params in suggested)


def test_seed_and_method_decide() -> None:
    first = run(study_of(sampler="random"), 3)
    assert run(study_of(sampler="random"), 3) == first
    assert run(study_of(sampler="random", seed=1), 3) != first
    assert run(study_of(sampler="random", method="l1"), 3) != first


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_results_steer_later_suggestions(sampler: str) -> None:
    # The same hyperparameters with other results: only what comes after the first results are modelled may differ.
    length, first = (20, 10) if sampler == "tpe" else (60, 50)

    def suggestions(worst: bool) -> list[Params]:
        study, suggested = study_of(sampler=sampler, lag=0, startup=10 if sampler == "tpe" else 0), []
        for number in range(length):
            suggested.append(study.suggest())
            id_top1, ood_top1 = values_of(suggested[-1])
            study.tell(number, (-id_top1, -ood_top1) if worst else (id_top1, ood_top1))
        return suggested

    best, worst = suggestions(False), suggestions(True)
    assert best[:first] == worst[:first]
    assert best[first:] != worst[first:]


def test_tpe_finds_better_trials_than_chance() -> None:
    def distance(sampler: str) -> float:
        return sum(abs(float(p["x"]) - 0.2) for p in suggested[sampler][30:]) / 30

    space: Space = {"x": Uniform(0.0, 1.0)}
    suggested: dict[str, list[Params]] = {"tpe": [], "random": []}
    for sampler, params in suggested.items():
        study = study_of(space, sampler=sampler, lag=0)
        for number in range(60):
            params.append(study.suggest())
            value = -100 * (float(params[-1]["x"]) - 0.2) ** 2
            study.tell(number, (value, value))
    assert distance("tpe") < 0.5 * distance("random")


@pytest.mark.parametrize("sampler", [*SAMPLERS, "grid"])
def test_grids_enumerate_their_cells_in_order(sampler: str) -> None:
    study = study_of({"a": Grid((1, 2)), "b": Grid(("x", "y")), "c": Constant(0.5)}, sampler=sampler, lag=4)
    cells = [(params["a"], params["b"], params["c"]) for params in (study.suggest() for _ in range(4))]
    assert cells == [(1, "x", 0.5), (1, "y", 0.5), (2, "x", 0.5), (2, "y", 0.5)]


def test_grids_start_over_while_other_dimensions_are_sampled() -> None:
    study = study_of({"a": Grid((1, 2)), "b": Uniform(0.0, 1.0)}, sampler="random", lag=9)
    suggested = [study.suggest() for _ in range(5)]
    assert [params["a"] for params in suggested] == [1, 2, 1, 2, 1]
    assert len({params["b"] for params in suggested}) == 5


def test_a_replayed_grid_goes_on_with_the_next_cell() -> None:
    study = study_of({"a": Grid((1, 2, 3))}, sampler="grid")
    study.replay({"a": 1})
    study.replay({"a": 2})
    assert study.suggest() == {"a": 3}


def test_nothing_to_search_is_a_suggestion_too() -> None:
    assert study_of({}).suggest() == {}
    assert study_of({"lr": Constant(1e-5)}).suggest() == {"lr": 1e-5}


def test_ready_means_that_trials_before_the_lag_have_ended() -> None:
    study = study_of(lag=2)
    for _ in range(3):  # 0, 1 and 2 need no result
        assert study.ready
        study.suggest()
    assert study.next_number == 3
    assert not study.ready  # 3 needs the result of 0
    study.tell(1, (1, 1))
    assert not study.ready
    study.tell(0, (1, 1))
    assert study.ready
    study.suggest()
    assert study.ready  # 4 needs 1's, which came early
    study.suggest()
    assert not study.ready
    study.tell(2, None)
    assert study.ready


def test_with_lag_0_each_trial_waits_for_the_one_before() -> None:
    study = study_of(lag=0)
    study.suggest()
    assert not study.ready
    study.tell(0, (1, 2))
    assert study.ready


def test_results_that_came_early_do_not_leak_into_suggestions() -> None:
    punctual, early = study_of(lag=4), study_of(lag=4)
    params: list[Params] = []
    for number in range(24):
        params.append(early.suggest())
        early.tell(number, values_of(params[-1]))  # told at once
        if number >= 5:
            punctual.tell(number - 5, values_of(params[number - 5]))  # told only when needed
        assert punctual.suggest() == params[-1]


def test_failed_trials_are_no_results() -> None:
    failing, fine = study_of(lag=0), study_of(lag=0)
    for number in range(11):
        for study in (failing, fine):
            study.tell(number, None if study is failing else values_of(study.suggest()))
            if study is failing:
                study.suggest()
    states = [trial.state.name for trial in failing._study.trials]
    assert states == ["FAIL"] * 10 + ["RUNNING"]
    assert [trial.values for trial in failing._study.trials] == [None] * 11
    # Eleven failures are no model: the next is still at random, other than with eleven results.
    assert failing.suggest() == run(study_of(sampler="tpe", lag=99), 12)[-1] != fine.suggest()


def test_the_first_result_told_of_a_trial_counts() -> None:
    study = study_of(lag=0)
    study.suggest()
    study.tell(0, (1.0, 2.0))
    study.tell(0, (3.0, 4.0))
    study.suggest()
    assert study._study.trials[0].values == [1.0, 2.0]


def test_a_repeated_trial_outside_of_todays_space_counts_without_its_result() -> None:
    narrow = SPACE | {"strength": Uniform(0.0, 0.5), "new": Uniform(0.0, 1.0)}
    study = study_of(narrow, lag=0)
    study.tell(0, (1.0, 2.0))
    study.replay({"lr": 1e-3, "strength": 0.9, "rank": 3, "form": "gone", "fixed": 8, "old": 1})
    suggested = study.suggest()
    assert suggested.keys() == narrow.keys()
    assert suggested["fixed"] == 4
    assert study.next_number == 2
    assert study._study.trials[0].state.name == "FAIL"
    assert study._study.trials[0].params["lr"] == 1e-3
    study.tell(1, (1.0, 2.0))
    study.suggest()
    assert study._study.trials[1].state.name == "COMPLETE"


def test_the_start_covers_every_dimension_evenly() -> None:
    drawn = [study.suggest() for study in [study_of(startup=16)] for _ in range(16)]
    places = [math.log(float(params["lr"]) / 1e-5) / math.log(1e3) for params in drawn]
    assert sorted(int(16 * place) for place in places) == list(range(16))  # one in each sixteenth of the range
    assert sorted(int(16 * float(params["strength"])) for params in drawn) == list(range(16))
    assert sorted(int(params["rank"]) for params in drawn) == list(range(1, 17))
    assert {form: [p["form"] for p in drawn].count(form) for form in "abc"} in (
        {"a": x, "b": y, "c": 16 - x - y} for x in (5, 6) for y in (5, 6)
    )


def test_the_start_is_the_same_whatever_the_results_and_whatever_follows() -> None:
    start = run(study_of(startup=9, lag=0), 9)
    assert run(study_of(sampler="qmc", lag=0), 20)[:9] == start
    assert run(study_of(sampler="nsga2", startup=9, lag=5), 12)[:9] == start
    assert run(study_of(startup=9, lag=0), 12)[9:] != run(study_of(sampler="qmc", lag=0), 12)[9:]
    assert run(study_of(sampler="random", startup=9), 9) != start
    assert run(study_of(startup=9, seed=1), 9) != start


def test_a_study_that_is_replayed_goes_on_with_its_start() -> None:
    whole = run(study_of(startup=8, lag=2), 14)
    half = study_of(startup=8, lag=2)
    for number, params in enumerate(whole[:5]):
        half.tell(number, values_of(params))
        half.replay(params)
    rest = []
    for number in range(5, 14):
        rest.append(half.suggest())
        half.tell(number, values_of(rest[-1]))
    assert rest == whole[5:]


def test_grids_are_tried_in_turn_beside_the_start() -> None:
    study = study_of({"lr": Log(1e-5, 1e-2), "form": Grid(("a", "b"))}, startup=4)
    drawn = [study.suggest() for _ in range(4)]
    assert [params["form"] for params in drawn] == ["a", "b", "a", "b"]
    assert sorted(int(4 * math.log(float(p["lr"]) / 1e-5) / math.log(1e3)) for p in drawn) == [0, 1, 2, 3]
