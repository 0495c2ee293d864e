"""Model size: each gain over full fine-tuning, and what a larger model adds to it, against a computation of its own."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console
from upath import UPath

from fpray.records import RecordStore
from fpray.report import Report, table
from fpray.report.differences import differences_of
from fpray.report.outcomes import Outcomes, with_validation
from fpray.report.sizes import Sizes, sizes_of
from fpray.statistics import Estimate, holm
from tests.report.sized import FULL, PLANTED, SIZES, SMALL, Made, Skills, made


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return made(RecordStore(UPath(tmp_path_factory.mktemp("planted"))), PLANTED)


@pytest.fixture(scope="module")
def report(planted: Made) -> Report:
    return planted.report()


@pytest.fixture(scope="module")
def sizes(report: Report) -> Sizes:
    assert report.sizes is not None
    return report.sizes


def gain(right: Mapping[str, NDArray[np.bool_]], method: str, model: str, drawn: Mapping[str, list[int]]) -> float:
    """A method's gain on a model, with so many of each image: on a line between two configurations, as its words say.

    Args:
        right: of each configuration and split, `full-small-000 id/test`.
    """

    def accuracies(name: str) -> tuple[float, float]:
        own = [100 * right[f"{name} {split}"][drawn[split]].mean() for split in ("id/test", "ood/a/test")]
        return float(own[0]), float(own[1])

    def at(own: str, x: float) -> float:
        (id_low, ood_low), (id_high, ood_high) = (accuracies(f"{own}-{model}-{number:03d}") for number in (0, 1))
        share = max((x - id_low) / (id_high - id_low), 0.0)
        return ood_low + share * (ood_high - ood_low) if share <= 1 else float("nan")

    zero_shot = accuracies(f"zero_shot-{model}-000")[0]
    each = [at(method, zero_shot + more) - at("full", zero_shot + more) for more in (5, 10, 15)]
    return float(np.nanmean(each))


def test_gains_are_those_of_the_records(planted: Made, sizes: Sizes) -> None:
    right = {
        f"{record.trial.id} {split}": images.correct
        for record in planted.records
        for split, images in planted.store.read_images(record.trial.id).items()
    }
    rng = np.random.default_rng(1)
    whole = {split: list(range(count)) for split, count in SIZES.items()}
    drawn = [{split: rng.integers(0, n, n).tolist() for split, n in SIZES.items()} for _ in range(400)]
    assert [own.method for own in sizes.gains] == ["l1", "l2"]
    for own in sizes.gains:
        for model in ("small", "large"):
            assert own.on[model].value == pytest.approx(gain(right, own.method, model, whole))
        small, large = (gain(right, own.method, model, whole) for model in ("small", "large"))
        assert list(own.more) == ["large"]
        assert own.more["large"].value == pytest.approx(large - small)
    others = [gain(right, "l1", "large", d) - gain(right, "l1", "small", d) for d in drawn]
    # One image more, which each gets right by chance, adds a little.
    assert sizes.gains[0].more["large"].half == pytest.approx(1.96 * np.std(others), rel=0.15)


def test_a_planted_difference_is_seen_and_none_is_not(sizes: Sizes) -> None:
    l1, l2 = sizes.gains
    assert (l1.on["large"].verdict, l1.more["large"].verdict) == ("seen", "seen")
    assert l1.on["large"].value == pytest.approx(8, abs=1.5)
    assert {l1.on["small"].verdict, l2.on["large"].verdict, l2.more["large"].verdict} <= {"equivalent", "undecided"}
    (said,) = sizes.said()
    assert said.startswith("On large, held against small, ") and "is larger for l1; " in said and "smaller" not in said


def test_a_gain_that_shrinks_is_told(tmp_path: Path) -> None:
    turned = {"large": SMALL, "small": PLANTED["large"]}
    sizes = made(RecordStore(UPath(tmp_path)), turned).report().sizes
    assert sizes is not None and sizes.gains[0].more["large"].verdict == "not seen"
    assert "smaller for l1" in sizes.said()[0]


def test_draws_are_what_is_uncertain_where_there_are_several(tmp_path: Path) -> None:
    own = made(RecordStore(UPath(tmp_path)), PLANTED, draws=3)
    sizes, each = own.report().sizes, []
    for draw, outcomes in own.draws.items():
        points, weights = own.report().points, {"large": None, "small": None}
        alone = sizes_of(points, "knee", weights, {draw: outcomes}, margin=1.0)
        each.append(alone.gains[0].on["large"].value)
    assert sizes is not None
    assert sizes.gains[0].on["large"].value == pytest.approx(np.mean(each))
    assert sizes.gains[0].on["large"].half == pytest.approx(4.3027 * np.std(each, ddof=1) / 3**0.5, rel=1e-4)


def test_gains_are_compared_where_both_models_have_one(tmp_path: Path) -> None:
    # At zero-shot's ID + 10 and + 15 there is nothing of the large model's, and L1's lead is at the low end alone.
    short = [(0.56, 0.55), (0.57, 0.53)]
    steep = [(0.56, 0.65), (0.67, 0.45)]
    small: Skills = {**SMALL, "l1": steep}
    own = made(RecordStore(UPath(tmp_path)), {"large": {**SMALL, "full": short, "l1": short}, "small": small})
    report = own.report()
    assert report.sizes is not None
    test = {point.name: point.test for point in report.points}
    low = test["zero_shot-small-000"].id + 5

    def at_low(method: str) -> float:
        ends = [test[f"{method}-small-{number:03d}"] for number in (0, 1)]
        return float(np.interp(low, [end.id for end in ends], [end.ood for end in ends]))

    l1 = report.sizes.gains[0]
    assert abs(l1.on["large"].value) < 1 and 3 < l1.on["small"].value < 7
    assert l1.more["large"].value == pytest.approx(l1.on["large"].value - (at_low("l1") - at_low("full")))
    assert l1.more["large"].value < -7


def test_models_come_by_size(planted: Made, sizes: Sizes) -> None:
    assert [(own.model, own.weights) for own in sizes.models] == [("small", 1_000_000), ("large", 3_000_000)]
    older = [record.model_copy(update={"weights": None}) for record in planted.records]
    unknown = Made(planted.sweep, older, planted.store).report().sizes
    assert unknown is not None and [(own.model, own.weights) for own in unknown.models] == [
        ("large", None),
        ("small", None),
    ]
    assert list(unknown.gains[0].more) == ["small"]


def test_the_best_other_has_no_less_id_accuracy_than_the_pick_of_full(report: Report, sizes: Sizes) -> None:
    for own in sizes.models:
        assert own.best is not None
        full = next(m for m in report.methods if (m.method, m.model) == ("full", own.model)).picks["knee"]
        assert own.bases["full"] == full and own.bases["zero_shot"].name == f"zero_shot-{own.model}-000"
        others = [c for c in report.points if c.model == own.model and c.method in ("l1", "l2")]
        enough = [c for c in others if c.val.id >= full.val.id]
        assert own.best in enough and own.best.val.ood == max(c.val.ood for c in enough)
    weak = [c for c in report.points if c.method in ("zero_shot", "full") or c.val.id < 60]
    pick = sizes_of(weak, "id_val", {"small": 1}, {}, margin=1.0).models[0]
    assert pick.bases["full"].name == "full-small-001" and pick.best is None


def test_all_claims_of_the_table_are_corrected_together() -> None:
    estimates = {name: Estimate(value, 1.0) for name, value in {"a": 2.5, "b": -4.0, "c": 0.1}.items()}
    found = differences_of(estimates, margin=1.0)
    assert [own.p for own in found.values()] == holm([own.p for own in estimates.values()])
    assert [own.verdict for own in found.values()] == ["seen", "not seen", "undecided"]
    assert differences_of({}, margin=1.0) == {}


def test_without_images_models_are_compared_without_gains(planted: Made, report: Report) -> None:
    def without_validation(own: Outcomes) -> Outcomes:  # as an earlier fpray kept them
        return Outcomes(own.names, {split: c for split, c in own.correct.items() if split.endswith("/test")})

    old = {draw: without_validation(own) for draw, own in planted.draws.items()}
    assert with_validation(old) == {} and with_validation(planted.draws).keys() == planted.draws.keys()
    weights: dict[str, int | None] = {"small": 1, "large": 2}
    sizes = sizes_of(report.points, "knee", weights, with_validation(old), margin=1.0)
    assert sizes.gains == () and sizes.said() == () and len(sizes.models) == 2
    assert "by size: small (0.0 million weights), large" in shown(report.model_copy(update={"sizes": sizes}))


def test_a_model_without_zero_shot_or_full_has_no_gains(tmp_path: Path) -> None:
    own = made(RecordStore(UPath(tmp_path)), {"large": {"zero_shot": [(0.5, 0.6)], "full": FULL, "l1": FULL}})
    report = own.report()
    assert report.sizes is None  # one model of a list
    weights: dict[str, int | None] = {"small": 1, "large": 2}
    sizes = sizes_of(report.points, "knee", weights, own.draws, margin=1.0)
    assert [list(gains.on) for gains in sizes.gains] == [["large"]] and sizes.gains[0].more == {}
    assert sizes.said() == ()


def shown(report: Report, width: int = 200) -> str:
    console = Console(file=StringIO(), width=width)
    console.print(table(report))
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_the_table_says_what_size_does(report: Report, sizes: Sizes) -> None:
    text, l1 = shown(report), sizes.gains[0]
    assert "by size: small (1.0 million weights), large (3.0 million weights)" in text
    on, more = l1.on, l1.more["large"]
    each = ", ".join(f"{model} {on[model].value:+.1f} ± {on[model].half:.1f}" for model in ("small", "large"))
    assert f"l1            {each}; {more.value:+.1f} ± {more.half:.1f} more on large, seen" in text
    assert sizes.said()[0] in text
    assert max(map(len, shown(report, 80).splitlines())) <= 80
    assert Report.model_validate_json(report.model_dump_json()) == report
