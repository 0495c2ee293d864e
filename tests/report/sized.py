"""Finished trials on two models, made of what each would get right, and no training."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fpray.config import Sweep, check_sweep
from fpray.model import Model
from fpray.records import Count, ImageResults, Record, RecordStore, Trial, configuration_id, trial_id
from fpray.report import Report, known_outcomes, make_report
from fpray.report.outcomes import Outcomes
from fpray.search import study_name

SIZES = {"id/val": 600, "id/test": 1500, "ood/a/val": 600, "ood/a/test": 1500}
WEIGHTS = {"large": 3_000_000, "small": 1_000_000}
Skills = Mapping[str, list[tuple[float, float]]]
"""The share of ID and of OOD images that each configuration of a method gets right."""
FULL = [(0.56, 0.55), (0.67, 0.45)]
BETTER = [(0.56, 0.63), (0.67, 0.53)]
SMALL: Skills = {"zero_shot": [(0.50, 0.60)], "full": FULL, "l1": FULL, "l2": FULL}
PLANTED: Mapping[str, Skills] = {"large": {**SMALL, "l1": BETTER}, "small": SMALL}
"""Only L1 gains anything, and that on the large model; in the sweep file's order."""


@dataclass(frozen=True)
class Made:
    """A sweep with its finished trials."""

    sweep: Sweep
    records: list[Record]
    store: RecordStore

    @property
    def draws(self) -> dict[int, Outcomes]:
        return known_outcomes(self.sweep, self.records, self.store)

    def report(self) -> Report:
        return make_report(self.sweep, self.records, draws=self.draws)


def made(store: RecordStore, skills: Mapping[str, Skills], draws: int = 1, **changes: Any) -> Made:
    """Write the trials of some skills, by model and method.

    Args:
        changes: of every record.
    """
    records = []
    for model, methods in skills.items():
        for method, own in methods.items():
            for number, skill in enumerate(own):
                records += [_trial(store, model, method, number, skill, draw, draws, changes) for draw in range(draws)]
    content = {
        "name": "by-size",
        "data": {"seeds": list(range(draws))},
        "model": {"name": [f"any/{model}" for model in skills]},
        "methods": {method: {"trials": len(own)} for method, own in next(iter(skills.values())).items()},
    }
    return Made(check_sweep(content, "by-size"), records, store)


def _trial(
    store: RecordStore,
    model: str,
    method: str,
    number: int,
    skill: tuple[float, float],
    draw: int,
    draws: int,
    changes: Mapping[str, Any],
) -> Record:
    name = trial_id(configuration_id(study_name(method, model), number), draw, 0, draws=draws)
    images = {split: _images(split, skill[split.startswith("ood")], draw, name) for split in SIZES}
    trial = Trial(
        id=name,
        method=method,
        number=number,
        seed=0,
        draw=draw,
        params={} if method == "zero_shot" else {"lr": 10.0 ** (number - 5)},
        model=Model(name=f"any/{model}"),
    )
    counts = {split: Count(correct=int(own.correct.sum()), total=len(own.labels)) for split, own in images.items()}
    fields = {"status": "finished", "results": counts, "weights": WEIGHTS[model]} | dict(changes)
    record = Record(trial=trial, started=1.5, **fields)
    store.write(record)
    store.write_images(trial.id, images)
    return record


def _images(split: str, share: float, draw: int, name: str) -> ImageResults:
    """The same images are hard for all; each trial has luck of its own with some."""
    ease = np.random.default_rng([len(split), draw]).random(SIZES[split])
    luck = np.random.default_rng([len(split), zlib.crc32(name.encode())]).normal(0, 0.05, SIZES[split])
    right = ease + luck < share
    halves = np.full(SIZES[split], 0.5, dtype=np.float16)
    return ImageResults(np.zeros(len(right), dtype=np.uint16), (~right).astype(np.uint16), halves, halves)
