"""Outcomes: what each trial said of each image becomes intervals, over draws or over seeds and images."""

from __future__ import annotations

import math
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from upath import UPath

from fpray.config import Sweep, check_sweep
from fpray.records import Count, ImageResults, Record, RecordStore
from fpray.report import make_report, table
from fpray.report.outcomes import known_outcomes, on_test, outcomes
from fpray.search import studies

SIZES = {"id/val": 60, "id/test": 400, "ood/a/val": 60, "ood/a/test": 300, "ood/b/val": 60, "ood/b/test": 200}
Make = Callable[..., Record]


def images(split: str, draw: int, trial: int) -> ImageResults:
    """A trial that is wrong on some images that are hard for all, and on some of its own."""
    shared, own = np.random.default_rng([len(split), draw]), np.random.default_rng([len(split), draw, trial])
    size = SIZES[split]
    wrong = (shared.random(size) < 0.3) | (own.random(size) < 0.05)
    zeros = np.zeros(size, dtype=np.float16)
    return ImageResults(np.zeros(size, dtype=np.uint16), wrong.astype(np.uint16), zeros, zeros)


def stored(make: Make, store: RecordStore, draws: int, seeds: int) -> list[Record]:
    """The finished trials of zero-shot and two configurations of full fine-tuning."""
    records = []
    configurations = [("zero_shot-000", {}), ("full-000", {"lr": 1e-4}), ("full-001", {"lr": 1e-5})]
    for number, (configuration, params) in enumerate(configurations):
        for draw in range(draws):
            for seed in range(seeds):
                ending = (f"-d{draw}" if draws > 1 else "") + (f"-s{seed}" if seeds > 1 else "")
                own = {split: images(split, draw, 10 * number + seed) for split in SIZES}
                counts = {split: Count(correct=int(i.correct.sum()), total=len(i.correct)) for split, i in own.items()}
                record = make(configuration + ending, params, seed, draw=draw, status="finished", results=counts)
                store.write(record)
                store.write_images(record.trial.id, own)
                records.append(record)
    return records


def sweep_of(draws: int, seeds: int) -> Sweep:
    content = {
        "name": "s",
        "data": {"seeds": list(range(draws))},
        "train": {"seeds": list(range(seeds))},
        "methods": {"zero_shot": None, "full": {"trials": 2}},
    }
    return check_sweep(content, "s")


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    return RecordStore(UPath(tmp_path))


def test_rows_are_configurations_and_seeds_of_one_draw(record_of: Make, store: RecordStore) -> None:
    records = stored(record_of, store, draws=2, seeds=3)
    found = outcomes(records, studies(sweep_of(2, 3)), store)
    assert list(found) == [0, 1]
    assert found[1].names == ("zero_shot-000", "full-000", "full-001")
    assert {split: own.shape for split, own in found[1].correct.items()} == {s: (3, 3, n) for s, n in SIZES.items()}
    assert np.array_equal(found[1].correct["ood/b/test"][2, 1], images("ood/b/test", 1, 21).correct)


def test_one_trial_has_its_images_interval(record_of: Make, store: RecordStore) -> None:
    records = stored(record_of, store, draws=1, seeds=1)
    identity, ood = on_test(outcomes(records, studies(sweep_of(1, 1)), store))["full-001"]
    shares = {split: images(split, 0, 20).correct.mean() for split in SIZES}
    p = shares["id/test"]
    assert identity.half_width() == pytest.approx(196 * math.sqrt(p * (1 - p) / 400), rel=0.08)
    a, b = shares["ood/a/test"], shares["ood/b/test"]
    assert ood.value == pytest.approx(50 * (a + b))
    assert ood.half_width() == pytest.approx(98 * math.sqrt(a * (1 - a) / 300 + b * (1 - b) / 200), rel=0.08)


def test_draws_have_students_interval(record_of: Make, store: RecordStore) -> None:
    records = stored(record_of, store, draws=3, seeds=2)
    identity, _ = on_test(outcomes(records, studies(sweep_of(3, 2)), store))["full-000"]
    means = [100 * np.mean([images("id/test", d, 10 + s).correct.mean() for s in (0, 1)]) for d in range(3)]
    assert identity.value == pytest.approx(np.mean(means))
    assert identity.half_width() == pytest.approx(4.3027 * np.std(means, ddof=1) / math.sqrt(3), rel=1e-4)


@pytest.mark.parametrize(("draws", "seeds"), [(1, 1), (1, 2), (2, 1)])
def test_the_table_has_intervals_and_none_is_zero(draws: int, seeds: int, record_of: Make, store: RecordStore) -> None:
    records, sweep = stored(record_of, store, draws, seeds), sweep_of(draws, seeds)
    console = Console(file=StringIO(), width=200)
    console.print(table(make_report(sweep, records, draws=known_outcomes(sweep, records, store))))
    text = console.file.getvalue()
    assert "± half its 95 % interval" in text
    assert text.count(" ± ") >= 5 and "± 0.0" not in text


def test_without_images_there_are_no_intervals(record_of: Make, store: RecordStore) -> None:
    records = stored(record_of, store, 1, 1)
    (store.trial_folder("full-000") / "images.npz").unlink()
    sweep = sweep_of(1, 1)
    report = make_report(sweep, records, draws=known_outcomes(sweep, records, store))
    assert all(point.test_half is None for point in report.points)
    assert '"test_half"' not in report.model_dump_json()
