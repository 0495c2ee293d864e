"""How often the 95 % intervals hold the true difference of two methods, by simulation.

    python -m benchmarks.coverage --simulations 1000

Two methods get most images right alike; each draw of the data, and each seed, is somewhat better or worse for each of
them. The intervals are those of fpray's tables: over draws where there are several, else of seeds and images.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fpray.statistics import Estimate, by_resampling, over_draws

TIMES = 300
"""Resamples of each bootstrap."""


@dataclass(frozen=True)
class Design:
    """What a sweep has: draws of the data, seeds, test images; and how much a draw and a seed change a method."""

    draws: int
    seeds: int
    images: int
    of_draw: float
    of_seed: float


DESIGNS = [
    Design(5, 1, 4000, 0.05, 0.03),
    Design(3, 1, 4000, 0.05, 0.03),
    Design(3, 2, 4000, 0.05, 0.03),
    Design(1, 1, 800, 0.0, 0.0),
    Design(1, 3, 800, 0.0, 0.0),
    Design(1, 3, 800, 0.0, 0.05),
    Design(1, 3, 4000, 0.0, 0.05),
]
SKILL = (0.3, 0.4)
"""Of the two methods, in standard deviations of the images' ease."""
NOISE = 0.6
"""Of one trial on one image, in the same."""


def drawn(rng: np.random.Generator, design: Design) -> NDArray[np.bool_]:
    """Whether each image of a draw was classified rightly: [methods, seeds, images]."""
    shape = (len(SKILL), design.seeds)
    own = np.array(SKILL)[:, None] + design.of_draw * rng.normal(size=(len(SKILL), 1))
    skill = own + design.of_seed * rng.normal(size=shape)
    ease = rng.normal(size=design.images)
    return skill[:, :, None] + ease + NOISE * rng.normal(size=(*shape, design.images)) > 0


def difference(rng: np.random.Generator, design: Design) -> Estimate:
    """The estimated difference of the two methods' accuracies, in points."""
    if design.draws > 1:
        draws = (100 * drawn(rng, design).mean(axis=(1, 2)) for _ in range(design.draws))
        return over_draws([float(second - first) for first, second in draws])
    correct = {"id/test": drawn(rng, design)}
    found = by_resampling(
        lambda accuracies: {"it": accuracies["id/test"][1] - accuracies["id/test"][0]},
        correct,
        seed=int(rng.integers(2**32)),
        times=TIMES,
    )
    return found["it"]


def truth(design: Design) -> float:
    """The true difference: a normal number with all the variances is above minus the skill."""
    spread = math.sqrt(1 + NOISE**2 + design.of_draw**2 + design.of_seed**2)
    first, second = (0.5 * (1 + math.erf(skill / spread / math.sqrt(2))) for skill in SKILL)
    return 100 * (second - first)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=1000)
    simulations = parser.parse_args().simulations
    print("| draws | seeds | images | held, % | half width, points |\n|---|---|---|---|---|")
    for design in DESIGNS:
        rng = np.random.default_rng(0)
        estimates = [difference(rng, design) for _ in range(simulations)]
        held = np.mean([abs(e.value - truth(design)) <= e.half_width() for e in estimates])
        error = math.sqrt(held * (1 - held) / simulations)
        half = np.median([e.half_width() for e in estimates])
        what = f"{design.draws} | {design.seeds} | {design.images:,}"
        print(f"| {what} | {100 * held:.1f} ± {196 * error:.1f} | {half:.1f} |")


if __name__ == "__main__":
    main()
