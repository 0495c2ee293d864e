"""The calibration of the configurations that a rule picks, with how sure it is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fpray.records import ImageResults, Record, RecordStore
from fpray.report.measures import calibration_error
from fpray.report.report import Report
from fpray.statistics import Estimate, over_draws

RESAMPLES = 100
Images = Mapping[str, ImageResults]


def calibrations(
    report: Report, records: Mapping[str, Record], store: RecordStore
) -> dict[str, dict[str, tuple[float, float]]]:
    """The expected calibration error on ID test images and the mean over OOD domains, `id` and `ood`, in per cent, with
    half its 95 % interval: over draws of the data, or over the images of the only one.

    Args:
        records: of the report's trials, by their ids.
    """
    picked = {own.name: own for method in report.methods for own in method.picks.values()}
    found = {}
    for name, configuration in picked.items():
        by_draw: dict[int, list[Images]] = {}
        for trial in configuration.trials:
            by_draw.setdefault(records[trial].trial.draw, []).append(store.read_images(trial))
        found[name] = {part: _estimate(list(by_draw.values()), part) for part in ("id", "ood")}
    return found


def _estimate(draws: list[list[Images]], part: str) -> tuple[float, float]:
    own = [_mean(seeds, part) for seeds in draws]
    if len(draws) > 1:
        estimate = over_draws(own)
    else:
        rng = np.random.default_rng(0)
        estimate = Estimate(own[0], float(np.std([_mean(draws[0], part, rng) for _ in range(RESAMPLES)], ddof=1)))
    return estimate.value, estimate.half_width()


def _mean(seeds: list[Images], part: str, rng: np.random.Generator | None = None) -> float:
    """The mean over seeds and splits; with a generator, of other images, the same for all seeds."""
    errors = []
    for split in [name for name in seeds[0] if name.startswith(f"{part}/") and name.endswith("/test")]:
        images = len(seeds[0][split].labels)
        weights = None if rng is None else rng.multinomial(images, np.full(images, 1 / images))
        errors += [calibration_error(own[split], weights) for own in seeds]
    return 100 * float(np.mean(errors))
