"""The front of a method's curves: means over seeds, what no other point beats, test accuracies where they are known."""

from __future__ import annotations

from collections.abc import Callable

from fpray.config.file import check_sweep
from fpray.records import Count, CurvePoint, Record
from fpray.report import curve_front, make_report
from fpray.report.pareto import Accuracy
from fpray.search import studies
from tests.report.test_report import shown

OBJECTIVES = ("id/val/top1", "ood/val/top1")
SWEEP = check_sweep({"name": "s", "methods": {"full": {"trials": 2}, "zero_shot": {}}, "train": {"seeds": [0, 1]}}, "s")


def counts(part: str, id_right: int, ood_right: int) -> dict[str, Count]:
    right = {f"id/{part}": id_right, f"ood/a/{part}": ood_right}
    return {split: Count(correct=correct, total=100) for split, correct in right.items()}


def trained(record_of: Callable[..., Record], trial_id: str, seed: int, *reached: tuple[int, int]) -> Record:
    """A trial with its accuracies at alphas 0, 0.5 and 1."""
    alphas = (0.0, 0.5, 1.0)[: len(reached)]
    curve = tuple(CurvePoint(alpha=a, validation=counts("val", *own)) for a, own in zip(alphas, reached, strict=True))
    results = counts("val", *reached[-1]) | counts("test", reached[-1][0] - 1, reached[-1][1] - 1)
    return record_of(trial_id, seed=seed, status="finished", results=results, curve=curve)


def records(record_of: Callable[..., Record]) -> list[Record]:
    return [
        trained(record_of, "full-000-s0", 0, (50, 40), (60, 50), (70, 30)),
        trained(record_of, "full-000-s1", 1, (50, 40), (62, 54), (74, 34)),
        trained(record_of, "full-001-s0", 0, (50, 40), (80, 20), (72, 20)),
        trained(record_of, "full-001-s1", 1, (50, 40), (80, 20), (72, 20)),
    ]


def test_the_front_is_over_all_configurations_and_the_means_of_seeds(record_of: Callable[..., Record]) -> None:
    front = curve_front(records(record_of), studies(SWEEP)[1], OBJECTIVES)
    assert [(p.configuration, p.alpha, p.val.pair) for p in front] == [
        ("full-001", 0.5, (80, 20)),
        ("full-000", 1, (72, 32)),
        ("full-000", 0.5, (61, 52)),
    ]
    assert front[0].trials == ("full-001-s0", "full-001-s1")


def test_a_seed_without_a_curve_and_a_trial_of_before_leave_no_point(record_of: Callable[..., Record]) -> None:
    first, second, *_ = records(record_of)
    bare = second.model_copy(update={"curve": ()})
    assert curve_front([first, bare], studies(SWEEP)[1], OBJECTIVES) == []
    assert curve_front([first], studies(SWEEP)[1], OBJECTIVES) == []


def test_the_report_has_them_with_the_test_accuracies_that_are_known(record_of: Callable[..., Record]) -> None:
    trials = records(record_of)
    evaluated = [
        record_of("full-000", status="finished", results=counts("test", 58 + 2 * seed, 48), seed=seed).model_copy(
            update={"trial": trials[seed].trial.point(0.5)}
        )
        for seed in (0, 1)
    ]
    (full,) = [m for m in make_report(SWEEP, trials, evaluated).methods if m.method == "full"]
    assert [point.test for point in full.curve] == [None, Accuracy(id=71, ood=31), Accuracy(id=59, ood=48)]
    without = make_report(SWEEP, trials).methods
    assert full.model_copy(update={"curve": ()}) in [m.model_copy(update={"curve": ()}) for m in without]
    said = shown(make_report(SWEEP, trials, evaluated))
    assert "full          full-000 at alpha 0.5: test ID 59.0, test OOD 48.0" in said
    assert "averaged" not in shown(make_report(SWEEP, trials))
