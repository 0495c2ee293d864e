"""How good a front each sampler finds, by the number of trials, on tables of trainings that are already known.

    python -m benchmarks.samplers                          the 72 published model soups (tests/fixtures)
    python -m benchmarks.samplers NAME --method l2         a method's finished trials of a sweep

A suggested configuration gets the accuracies of the nearest one in the table, each hyperparameter scaled to its range.
The score is the hypervolume of what was found so far, as a share of the whole table's: the mean over seeds, with its
95 % interval. It says what of these samplers is worth while on surfaces like these, and nothing about others.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import fpray
from fpray.config import Search
from fpray.search.searcher import Searcher
from fpray.space import Choice, Constant, Int, Log, Params, Range, Space, Uniform, Value
from fpray.statistics import hypervolume, over_draws

SOUPS = Path(__file__).parents[1] / "tests" / "fixtures" / "model_soups_b32.csv"
SAMPLERS: dict[str, dict[str, Any]] = {
    "random": {"sampler": "random"},
    "qmc": {"sampler": "qmc"},
    "tpe, Optuna's start of 10 random, lag 0": {"sampler": "tpe", "startup": 0, "lag": 0},
    "tpe, startup 8, lag 0": {"sampler": "tpe", "startup": 8, "lag": 0},
    "tpe, startup 8, lag 8": {"sampler": "tpe", "startup": 8, "lag": 8},
    "tpe, startup 16, lag 0": {"sampler": "tpe", "startup": 16, "lag": 0},
    "tpe, startup 16, lag 8": {"sampler": "tpe", "startup": 16, "lag": 8},
    "tpe, startup 32, lag 8": {"sampler": "tpe", "startup": 32, "lag": 8},
    "nsga2, lag 0": {"sampler": "nsga2", "startup": 0, "lag": 0},
}


@dataclass(frozen=True)
class Table:
    """Configurations with their accuracies: `places` are their hyperparameters scaled to [0, 1]."""

    space: Space
    places: NDArray[np.float64]
    val: NDArray[np.float64]
    """(ID, OOD) in per cent, which the sampler is told, [configurations, 2]."""

    def nearest(self, params: Params) -> int:
        place = [_place(self.space[name], params[name]) for name in self.space]
        return int(np.argmin(((self.places - place) ** 2).sum(axis=1)))

    @property
    def reference_point(self) -> tuple[float, float]:
        """The lowest of each accuracy."""
        lowest = self.val.min(axis=0)
        return float(lowest[0]), float(lowest[1])


def _place(dimension: Constant | Range | Choice, value: Value) -> float:
    if isinstance(dimension, Log):
        return math.log(float(value) / dimension.low) / math.log(dimension.high / dimension.low)
    if isinstance(dimension, Range):
        return (float(value) - dimension.low) / (dimension.high - dimension.low)
    return dimension.values.index(value) if isinstance(dimension, Choice) else 0.0


def soups() -> Table:
    """The 71 fine-tunings of CLIP ViT-B/32: ID validation accuracy, and the mean of five OOD sets."""
    rows = pd.read_csv(SOUPS).dropna(subset=["lr"])
    rows["m"] = rows["aug"].str.extract(r"-m(\d+)")[0].astype(float).fillna(0).astype(int)  # RandAugment's magnitude
    space: Space = {
        "lr": Log(rows["lr"].min(), rows["lr"].max()),
        "wd": Log(rows["wd"].min(), rows["wd"].max()),
        "epochs": Int(int(rows["epochs"].min()), int(rows["epochs"].max())),
        "mixup": Uniform(0.0, max(rows["mixup"].max(), 1e-3)),
        "label_smoothing": Uniform(0.0, max(rows["label_smoothing"].max(), 1e-3)),
        "m": Int(0, max(1, int(rows["m"].max()))),
    }
    ood = ["imagenet_v2", "imagenet_sketch", "imagenet_r", "objectnet", "imagenet_a"]
    val = 100 * np.column_stack([rows["imagenet_heldout2pct"], rows[ood].mean(axis=1)])
    return Table(space, _places(space, rows.to_dict("records")), val)


def of_sweep(name: str, method: str) -> Table:
    """A method's configurations in a sweep, with the accuracies that its search saw."""
    results = fpray.load(name)
    own = [point for point in results.report.points if point.method == method]
    every = results.sweep.methods[method].space()
    space: Space = {key: dimension for key, dimension in every.items() if not isinstance(dimension, Constant)}
    return Table(space, _places(space, [point.params for point in own]), np.array([point.val.pair for point in own]))


def _places(space: Space, rows: list[Any]) -> NDArray[np.float64]:
    return np.array([[_place(space[name], row[name]) for name in space] for row in rows])


def found(table: Table, sampler: dict[str, Any], seed: int, trials: int) -> list[float]:
    """The share of the table's hypervolume that is found after each trial."""
    searcher = Searcher("table", table.space, Search.model_validate(sampler | {"seed": seed}))
    whole, seen, shares = hypervolume(table.val, table.reference_point), list[list[float]](), list[float]()
    for number in range(trials):
        params = searcher.suggest()
        row = table.val[table.nearest(params)].tolist()
        searcher.tell(number, (row[0], row[1]))
        seen.append(row)
        shares.append(hypervolume(seen, table.reference_point) / whole)
    return shares


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", help="a sweep's name or folder; without it, the published soups")
    parser.add_argument("--method", default="l2")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--at", type=int, nargs="+", default=[4, 8, 16, 24, 32, 48])
    options = parser.parse_args()
    table = soups() if options.name is None else of_sweep(options.name, options.method)
    print(f"| {len(table.val)} configurations, of {', '.join(table.space)} | {' | '.join(map(str, options.at))} |")
    print(f"|{'---|' * (1 + len(options.at))}")
    for name, sampler in SAMPLERS.items():
        runs = np.array([found(table, sampler, seed, max(options.at)) for seed in range(options.seeds)])
        estimates = [over_draws((100 * runs[:, at - 1]).tolist()) for at in options.at]
        print(f"| {name} | {' | '.join(f'{e.value:.1f} ± {e.half_width():.1f}' for e in estimates)} |")


if __name__ == "__main__":
    main()
