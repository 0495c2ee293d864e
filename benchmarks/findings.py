"""The table of a sweep by method, and the paper's findings held against it.

    python -m benchmarks.findings fpray-results/drawnet-findings --keep benchmarks/findings-drawnet-s.json
    python -m benchmarks.findings benchmarks/findings-drawnet-s.json

It prints Markdown: of each method the configurations that the sweep's rules pick, with every domain; OOD accuracy at
equal ID; hypervolumes; then each claim with its difference and 95 % interval, and the verdict on each finding under the
rule that stands in `fpray/report/findings.py`. Of several sweeps that differ in `data.seeds` alone it takes all draws
together. `--keep` writes what all this is computed from, which can be given in a sweep's place.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from functools import reduce
from pathlib import Path

import fpray
from benchmarks.evidence import Evidence, Measured, evidence_of
from fpray.report.findings import ABOVE_ZERO_SHOT, judged
from fpray.report.hypervolumes import hypervolumes, reference_point_of
from fpray.report.leftout import left_out
from fpray.report.outcomes import estimated, ood_mean
from fpray.report.pareto import Configuration
from fpray.report.picks import pick, rules_line
from fpray.report.views import MethodView, view
from fpray.statistics import Accuracies, Estimate

Draws = Mapping[int, Measured]


def shown(estimate: Estimate | None) -> str:
    return "-" if estimate is None else f"{estimate.value:.1f} ± {estimate.half_width():.1f}"


def by_method(configurations: Mapping[str, Configuration]) -> dict[str, list[Configuration]]:
    found: dict[str, list[Configuration]] = {}
    for own in configurations.values():
        found.setdefault(own.method, []).append(own)
    return found


def tables(evidence: Evidence) -> Iterator[str]:
    """The tables' lines."""
    configurations, draws = evidence.means(), evidence.measured()
    yield from picks(evidence, configurations, draws)
    yield ""
    yield from compared(configurations, draws)
    yield ""
    yield from findings(configurations, draws, evidence.margin)


def picks(evidence: Evidence, configurations: Mapping[str, Configuration], draws: Draws) -> Iterator[str]:
    """A line for each method and configuration picked: every domain's test accuracy."""
    tests = [split for split in evidence.images if split.endswith("/test")]
    domains = [split.removesuffix("/test").removeprefix("ood/") for split in tests[1:]]
    yield f"| method | picked by | trial | ID | OOD | {' | '.join(domains)} |"
    yield f"|{'---|' * (5 + len(domains))}"

    def numbers(names: tuple[str, ...], accuracies: Accuracies) -> Mapping[str, float]:
        columns = {split: accuracies[split] for split in tests} | {"ood": ood_mean(accuracies, "test")}
        return {f"{name} {key}": float(own[row]) for key, own in columns.items() for row, name in enumerate(names)}

    known = estimated(draws, numbers)
    for method, own in by_method(configurations).items():
        picked: dict[str, list[str]] = {}
        for rule in evidence.rules:
            if (one := pick(own, rule)) is not None:
                picked.setdefault(one.name, []).append(rule)
        for name, by in picked.items():
            cells = [shown(known[f"{name} {key}"]) for key in (tests[0], "ood", *tests[1:])]
            yield f"| {method} | {', '.join(by)} | {name} | {' | '.join(cells)} |"
    yield ""
    yield rules_line(evidence.rules, evidence.objectives)


def compared(configurations: Mapping[str, Configuration], draws: Draws) -> Iterator[str]:
    """By method: OOD accuracy at fixed ID accuracies, hypervolumes, and what the other domains choose."""
    reference_point = reference_point_of({m: MethodView.of(own) for m, own in by_method(configurations).items()})

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
    for name in by_method(configurations):
        keys = [*(f"+{more:g}" for more in ABOVE_ZERO_SHOT), "trainings", "points", "left out"]
        yield f"| {name} | {' | '.join(shown(known.get(f'{name} {key}')) for key in keys)} |"
    yield ""
    r_id, r_ood = reference_point
    yield f"Hypervolumes are over ({r_id:.1f}, {r_ood:.1f}): zero-shot's ID accuracy and the lowest OOD of any front."


def findings(configurations: Mapping[str, Configuration], draws: Draws, margin: float) -> Iterator[str]:
    found = judged(configurations, draws, margin)
    yield "| finding | verdict |\n|---|---|"
    for finding in found:
        yield f"| {finding.text} | {finding.verdict} |"
    yield "\n| claim | difference | p, corrected | verdict |\n|---|---|---|---|"
    for claim in (claim for finding in found for claim in finding.claims):
        yield f"| {claim.claim.text} | {shown(claim.estimate)} | {claim.p:.3f} | {claim.verdict} |"


def read_evidence(name: str) -> Evidence:
    """What is kept in a file, or what a sweep says."""
    return (
        Evidence.model_validate_json(Path(name).read_text())
        if name.endswith(".json")
        else evidence_of(fpray.load(name))
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", help="sweeps, by name or folder, or files that --keep wrote")
    parser.add_argument("--keep", type=Path, help="the file to write what it is computed from to")
    arguments = parser.parse_args()
    evidence = reduce(Evidence.and_of, map(read_evidence, arguments.names))
    if arguments.keep is not None:
        arguments.keep.write_text(evidence.model_dump_json(indent=1) + "\n")
    print("\n".join(tables(evidence)))


if __name__ == "__main__":
    main()
