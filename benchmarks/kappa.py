"""What a penalty of each kappa does, against full fine-tuning at the same learning rate, on DrawNet.

    python -m fpray.sweep benchmarks/kappa.yaml && python -m benchmarks.kappa kappa

Differences of test accuracy in points, each the mean over the learning rates, with the 95 % interval over draws of the
data (Student's t); an interval within the margin of equivalence says that the penalty does nothing.
"""

from __future__ import annotations

import argparse

import fpray
from fpray.report.pareto import Accuracy, Configuration
from fpray.statistics import Estimate, over_draws


def difference(own: Configuration, full: Configuration) -> list[tuple[float, float]]:
    """Of ID and OOD accuracy, on each draw."""

    def less(first: Accuracy, second: Accuracy) -> tuple[float, float]:
        return first.id - second.id, first.ood - second.ood

    return [less(a, b) for a, b in zip(own.test_of_seeds, full.test_of_seeds, strict=True)]


def mean_over_rates(own: list[Configuration], full: dict[float, Configuration]) -> tuple[Estimate, Estimate]:
    """The difference of ID and of OOD accuracy, each from as many values as there are draws."""
    each = [difference(point, full[float(point.params["lr"])]) for point in own]
    draws = [
        [sum(values) / len(values) for values in zip(*of_draw, strict=True)] for of_draw in zip(*each, strict=True)
    ]
    found = [over_draws([draw[axis] for draw in draws]) for axis in (0, 1)]
    return found[0], found[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="the sweep's name or folder")
    results = fpray.load(parser.parse_args().name)
    margin, points = results.sweep.report.margin, results.report.points
    full = {float(point.params["lr"]): point for point in points if point.method == "full"}
    print(f"| penalty | kappa | ID - full | OOD - full | equivalent, by {margin:g} points |\n|---|---|---|---|---|")
    for method in ("l1", "l2"):
        own = [point for point in points if point.method == method]
        for kappa in sorted({float(point.params["kappa"]) for point in own}):
            both = mean_over_rates([point for point in own if point.params["kappa"] == kappa], full)
            shown = " | ".join(f"{estimate.value:+.2f} ± {estimate.half_width():.2f}" for estimate in both)
            same = all(abs(estimate.value) + estimate.half_width() < margin for estimate in both)
            print(f"| {method} | {kappa:g} | {shown} | {'yes' if same else 'no'} |")


if __name__ == "__main__":
    main()
