"""The table of a sweep by method, and the paper's findings held against it.

    python -m benchmarks.findings fpray-results/drawnet-findings

It prints Markdown: of each method the configurations that the sweep's rules pick, with every domain; OOD accuracy at
equal ID; hypervolumes; then each claim with its difference and 95 % interval, and the verdict on each finding under the
rule that stands in `fpray/report/findings.py`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping

from upath import UPath

import fpray
from fpray.records import SweepFolder
from fpray.report.findings import ABOVE_ZERO_SHOT, judged
from fpray.report.hypervolumes import hypervolumes
from fpray.report.leftout import left_out
from fpray.report.outcomes import Outcomes, estimated, ood_mean, outcomes
from fpray.report.pareto import Configuration
from fpray.report.picks import rules_line
from fpray.report.views import view
from fpray.results import Results
from fpray.search import studies
from fpray.statistics import Accuracies, Estimate


def shown(estimate: Estimate | None) -> str:
    return "-" if estimate is None else f"{estimate.value:.1f} ± {estimate.half_width():.1f}"


def tables(results: Results) -> Iterator[str]:
    """The tables' lines."""
    report = results.report
    configurations = {point.name: point for point in report.points}
    folder = SweepFolder(UPath(results.folder))
    draws = outcomes(results.records, studies(results.sweep), folder.records)
    yield from picks(report.methods, draws, report.objectives)
    yield ""
    yield from compared(configurations, draws, report.reference_point)
    yield ""
    yield from findings(configurations, draws, results.sweep.report.margin)


def picks(
    methods: tuple[fpray.report.MethodReport, ...], draws: Mapping[int, Outcomes], objectives: tuple[str, ...]
) -> Iterator[str]:
    """A line for each method and rule: every domain's test accuracy."""
    (first, *_) = draws.values()
    tests = [split for split in first.correct if split.endswith("/test")]
    domains = [split.removesuffix("/test").removeprefix("ood/") for split in tests[1:]]
    yield f"| method | picked by | trial | ID | OOD | {' | '.join(domains)} |"
    yield f"|{'---|' * (5 + len(domains))}"

    def numbers(names: tuple[str, ...], accuracies: Accuracies) -> Mapping[str, float]:
        columns = {split: accuracies[split] for split in tests} | {"ood": ood_mean(accuracies, "test")}
        return {f"{name} {key}": float(own[row]) for key, own in columns.items() for row, name in enumerate(names)}

    known = estimated(draws, numbers)
    for method in methods:
        for picked, by in method.picked():
            cells = [shown(known[f"{picked.name} {key}"]) for key in (tests[0], "ood", *tests[1:])]
            yield f"| {method.name} | {', '.join(by)} | {picked.name} | {' | '.join(cells)} |"
    yield ""
    yield rules_line(dict.fromkeys(rule for method in methods for rule in method.picks), objectives)


def compared(
    configurations: Mapping[str, Configuration], draws: Mapping[int, Outcomes], reference_point: tuple[float, float]
) -> Iterator[str]:
    """By method: OOD accuracy at fixed ID accuracies, hypervolumes, and what the other domains choose."""

    def numbers(names: tuple[str, ...], accuracies: Accuracies) -> Mapping[str, float]:
        views = view(configurations, names, accuracies)
        base, found = views["zero_shot"], {}
        known, chosen = hypervolumes(views, reference_point), left_out(configurations, names, accuracies)
        for name, own in views.items():
            found |= {f"{name} +{more:g}": own.ood_at(float(base.id_test[0]) + more) for more in ABOVE_ZERO_SHOT}
            found[f"{name} trainings"] = known.of[name].at_trainings
            found[f"{name} points"] = known.of[name].at_points
            found[f"{name} left out"] = chosen[name]
        return found

    known = estimated(draws, numbers)
    heads = [f"OOD at zero-shot's ID + {more:g}" for more in ABOVE_ZERO_SHOT]
    heads += ["hypervolume, equal trainings", "equal points", "OOD, each domain chosen on the others"]
    yield f"| method | {' | '.join(heads)} |"
    yield f"|{'---|' * (1 + len(heads))}"
    for name in dict.fromkeys(c.method for c in configurations.values()):
        keys = [*(f"+{more:g}" for more in ABOVE_ZERO_SHOT), "trainings", "points", "left out"]
        yield f"| {name} | {' | '.join(shown(known.get(f'{name} {key}')) for key in keys)} |"
    yield ""
    r_id, r_ood = reference_point
    yield f"Hypervolumes are over ({r_id:.1f}, {r_ood:.1f}): zero-shot's ID accuracy and the lowest OOD of any front."


def findings(
    configurations: Mapping[str, Configuration], draws: Mapping[int, Outcomes], margin: float
) -> Iterator[str]:
    found = judged(configurations, draws, margin)
    yield "| finding | verdict |\n|---|---|"
    for finding in found:
        yield f"| {finding.text} | {finding.verdict} |"
    yield "\n| claim | difference | p, corrected | verdict |\n|---|---|---|---|"
    for claim in (claim for finding in found for claim in finding.claims):
        yield f"| {claim.claim.text} | {shown(claim.estimate)} | {claim.p:.3f} | {claim.verdict} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="the sweep's name or folder")
    print("\n".join(tables(fpray.load(parser.parse_args().name))))


if __name__ == "__main__":
    main()
