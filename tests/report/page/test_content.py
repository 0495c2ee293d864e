"""The page's numbers, each against an independent computation from the records."""

from __future__ import annotations

import csv
import io
from math import hypot
from pathlib import Path

import numpy as np
import pytest

from fpray.config import Needs, Resources
from fpray.records import RecordStore
from fpray.report.page import as_html, trials_csv
from fpray.report.page.budget import budgets
from fpray.report.page.cost import costs
from fpray.results import Results
from tests.intervals import wilson


def test_accuracies_are_the_records(finished: Results) -> None:
    records = {record.trial.id: record for record in finished.records}
    assert [point.name for point in finished.content.points] == [c.name for c in finished.report.points]
    for point in finished.content.points:
        record = records[point.name]
        for part, own in (("val", point.val), ("test", point.test)):
            assert set(own) == {"id", "ood/sketch"}
            for split, value in own.items():
                count = record.results[f"{split}/{part}"]
                assert value == pytest.approx(100 * count.correct / count.total)
        assert point.seconds == record.cost.seconds
        assert point.distance == record.movement.relative_distance
        assert point.cka == pytest.approx(record.movement.cka["ood/sketch/val"])
        assert point.of_trials == ((record.results["id/test"].top1, record.results["ood/sketch/test"].top1),)
        assert point.source == (record.trial.sources[0] if record.trial.sources else None)


def test_intervals_are_those_of_shares(finished: Results) -> None:
    for point in finished.content.points:
        for split, half in point.half.items():
            if split == "worst":
                continue
            share = point.test["ood/sketch" if split == "ood" else split] / 100
            total = finished.content.images["id/test" if split == "id" else "ood/sketch/test"]
            assert half == pytest.approx(wilson(round(share * total), total), rel=0.25)
    assert {p.name for p in finished.content.points if p.half} >= {
        own.name for method in finished.report.methods for own in method.picks.values()
    }


def test_differences_are_paired(finished: Results) -> None:
    store = RecordStore(finished.folder)
    known = {point.name: store.read_images(point.name) for point in finished.content.points}
    compared = [c for c in finished.content.comparisons if c.differences]
    assert {key for c in compared for key in c.differences} == {
        f"{part} - {base}" for part in ("id", "ood") for base in ("full", "zero_shot")
    }
    for own in compared:
        for key, difference in own.differences.items():
            part, base = key.split(" - ")
            other = next(m for m in finished.report.methods if m.method == base).picks[own.rule].name
            split = {"id": "id/test", "ood": "ood/sketch/test"}[part]
            first, second = (known[name][split].correct.astype(float) for name in (own.name, other))
            each = 100 * (first - second)
            assert difference.value == pytest.approx(each.mean())
            # Agresti and Min's: half an image more in each of the four ways that two methods can do.
            variance = (np.square(each).sum() + 100**2) / (len(each) + 2) - (each.sum() / (len(each) + 2)) ** 2
            assert difference.half == pytest.approx(1.96 * (variance / len(each)) ** 0.5, rel=0.25)
            assert 0 <= difference.p <= 1


def test_calibration_is_that_of_the_picks_images(finished: Results) -> None:
    store = RecordStore(finished.folder)
    picked = {own.name for method in finished.report.methods for own in method.picks.values()}
    assert {point.name for point in finished.content.points if point.calibration} == picked
    for point in finished.content.points:
        for part, (error, half) in point.calibration.items():
            images = store.read_images(point.name)[{"id": "id/test", "ood": "ood/sketch/test"}[part]]
            bins = np.minimum(np.floor(10 * images.confidences.astype(float)), 9)
            gaps = [
                abs((images.correct[bins == b] - images.confidences[bins == b].astype(float)).sum()) for b in range(10)
            ]
            assert error == pytest.approx(100 * sum(gaps) / len(images.labels), abs=1e-6)
            assert 0 < half < 30


def test_the_worst_domain_has_its_interval(finished: Results) -> None:
    for point in finished.content.points:
        if point.half:  # there is one domain alone
            assert point.half["worst"] == point.half["ood/sketch"]


def test_costs_and_provenance(finished: Results) -> None:
    for own in finished.content.costs:
        records = [record for record in finished.records if record.trial.method == own.method]
        assert own.trials == len(records)
        assert own.hours == pytest.approx(sum(record.cost.seconds for record in records) / 3600)
        epochs = [epoch for record in records for epoch in record.history]
        if epochs:
            assert own.images_per_second == pytest.approx(
                sum(e.images for e in epochs) / sum(e.seconds for e in epochs)
            )
            assert 0 < own.not_training < 1
            assert own.gpu_hours is None
    kept = {path.parent.name: path.stat().st_size for path in Path(str(finished.folder)).glob("trials/*/*.safetensors")}
    assert finished.content.disk == f"{sum(kept.values()) / 1e6:,.1f} MB of weights, of {len(finished.records)} trials"
    assert finished.content.provenance["torch"] and finished.content.provenance["device"] == "cpu"


def test_hours_of_gpus_are_counted_gpu_by_gpu(finished: Results) -> None:
    of_lora = finished.sweep.methods["lora"].model_copy(update={"resources": Needs(gpus=1, workers=2)})
    gpus = Resources(gpus=0.5, cpus=2)
    sweep = finished.sweep.model_copy(
        update={"resources": gpus, "methods": {**finished.sweep.methods, "lora": of_lora}}
    )
    for own in costs(sweep, finished.report, finished.records):
        assert own.gpu_hours == pytest.approx(own.hours * (2 if own.method == "lora" else 0.5))
    hours = {own.method: own for own in budgets(sweep, finished.report, {r.trial.id: r for r in finished.records})}
    plain = {own.method: own.hours for own in finished.content.budgets}
    assert hours["lora"].hours == pytest.approx(2 * plain["lora"]) and hours["lora"].gpu
    assert hours["wise_ft"].hours == pytest.approx(plain["wise_ft"] / 2)


def test_the_page_has_gpu_hours_where_there_are_any(finished: Results) -> None:
    assert "GPU hours" not in as_html(finished.content)
    first, *others = finished.content.costs
    costs = (first, *(own.model_copy(update={"gpu_hours": 12.34}) for own in others))
    page = as_html(finished.content.model_copy(update={"costs": costs}))
    assert '<th scope="col">GPU hours</th>' in page
    assert page.count("<td>12.34</td>") == len(others) and "<td>0.00</td>" in page


def test_the_budget_ends_at_the_hypervolume_of_all(finished: Results) -> None:
    reference = finished.content.reference_point
    for budget in finished.content.budgets:
        method = next(m for m in finished.report.methods if m.name == budget.method)
        front = [own.test.pair for own in method.front]
        corners = sorted({p for p in front if p[0] > reference[0] and p[1] > reference[1]}, reverse=True)
        area, height = 0.0, reference[1]
        for x, y in corners:
            if y > height:
                area += (x - reference[0]) * (y - height)
                height = y
        assert budget.hypervolumes[-1] == pytest.approx(area)
        assert list(budget.hypervolumes) == sorted(budget.hypervolumes)


def test_the_csv_has_every_number_of_the_points(finished: Results) -> None:
    rows = list(csv.DictReader(io.StringIO(trials_csv(finished.content.points))))
    for row, point in zip(rows, finished.content.points, strict=True):
        assert float(row["test/id"]) == point.test["id"] and float(row["val/ood/sketch"]) == point.val["ood/sketch"]
        assert row["rules"].split() == list(point.rules)
        for name, value in point.params.items():
            assert row[f"{point.method}.{name}"] == str(value)
        assert [row[f"half of test/{split}"] for split in point.half] == [str(half) for half in point.half.values()]


def test_the_answer_names_the_rule_and_how_sure_it_is(finished: Results) -> None:
    first, *more = finished.content.answer
    best = max(finished.report.methods, key=lambda m: sum(m.picks["knee"].val.pair)).picks["knee"]
    assert "by the rule knee (the highest mean of ID and OOD accuracy on validation images" in first
    assert best.name in first and f"{best.test.id:.1f}" in first
    assert any(word in " ".join(more) for word in ("Undecided", "above every other method's"))


def test_equal_id_lies_between_the_fronts_points(finished: Results) -> None:
    own = {e.method: e for e in finished.content.equal_id}
    assert set(own) == {"zero_shot", "full", "lora", "wise_ft"}
    for method in finished.report.methods:
        oods = [point.test.ood for point in method.front]
        for value, half in own[method.method].ood.values():
            assert min(oods) - 1e-9 <= value <= max(oods) + 1e-9 and half >= 0


def test_differences_of_means_are_not_more_sure_than_their_parts(finished: Results) -> None:
    from fpray.records import SweepFolder
    from fpray.report.outcomes import outcomes
    from fpray.report.page.compared import Numbers
    from fpray.search import studies

    draws = outcomes(finished.records, studies(finished.sweep), SweepFolder(finished.folder).records)
    names = [point.name for point in finished.report.points[:2]]
    known = Numbers(finished.report, draws).differences([(names[0], names[1])])
    ids, oods, means = (known[f"{key} {names[0]} {names[1]}"] for key in ("id", "ood", "mean"))
    assert means.value == pytest.approx((ids.value + oods.value) / 2)
    assert means.error == pytest.approx(hypot(ids.error, oods.error) / 2, rel=0.2)  # other images, so independent
    assert np.isfinite(means.error)
