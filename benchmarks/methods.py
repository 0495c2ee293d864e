"""Every method of a sweep held against full fine-tuning, and against its free rival, WiSE-FT of full fine-tuning.

    python -m fpray.sweep sweeps/drawnet-methods.yaml
    python -m benchmarks.methods drawnet-methods --keep benchmarks/methods-drawnet-s.json
    python -m benchmarks.methods benchmarks/methods-drawnet-s.json

It prints Markdown. OOD accuracy is compared at equal ID accuracy, as `fpray/report/findings.py` has it. A hypervolume
at equal cost is what a method's trainings reach in the time that WiSE-FT's took, its sources' trainings counted: the
mean over subsets of them, on the line between one number of trainings and the next. What a method costs is read from
the records: its trials with all that they are made of, for each training. The p-values of a column are corrected by
Holm's method. `--keep` writes the numbers, which can be given in the sweep's place.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

import fpray
from benchmarks.findings import by_method
from fpray.config import words_of
from fpray.records import SweepFolder
from fpray.report.differences import Difference, differences_of
from fpray.report.findings import Views, at_equal_id
from fpray.report.hypervolumes import at_trainings, reference_point_of
from fpray.report.outcomes import estimated, known_outcomes, ood_mean
from fpray.report.picks import pick
from fpray.report.views import MethodView, view
from fpray.results import Results
from fpray.statistics import Accuracies, Estimate

RULE = "knee"
"""By which each method's configuration is picked whose domains are shown."""
RIVALS = ("full", "wise_ft")
_, FREE = RIVALS
BUDGETS = ("trainings", "cost")
WORDS = {"seen": "above", "not seen": "below", "equivalent": "equivalent", "undecided": "undecided"}


class Interval(BaseModel):
    """A number with half its 95 % interval."""

    model_config = ConfigDict(frozen=True)

    value: float
    half: float

    @classmethod
    def of(cls, estimate: Estimate) -> Interval:
        return cls(value=estimate.value, half=estimate.half_width())

    def __str__(self) -> str:
        return f"{self.value:.1f} ± {self.half:.1f}"


class Compared(BaseModel):
    """A method, and what it reaches."""

    model_config = ConfigDict(frozen=True)

    cost: float
    """Of one training, over full fine-tuning's."""
    picked: str
    accuracies: dict[str, Interval]
    """Of that configuration, on each test split, and the mean over the OOD domains as `ood`."""
    hypervolume: dict[str, Interval]
    """At equal `trainings`, and at equal `cost`; none of what trains nothing."""
    gains: dict[str, Difference]
    """In OOD accuracy at equal ID accuracy, by rival; none over itself, or where no front reaches the other's."""
    more: dict[str, Difference]
    """Of hypervolume over the free rival's, likewise."""


class Comparison(BaseModel):
    """All of a sweep."""

    model_config = ConfigDict(frozen=True)

    sweep: str
    made_with: dict[str, str]
    margin: float
    reference_point: tuple[float, float]
    methods: dict[str, Compared]


def comparison_of(results: Results) -> Comparison:
    """What a sweep says of its methods.

    Raises:
        KeyError: if it has no zero-shot, full fine-tuning or WiSE-FT.
    """
    report, draws = results.report, known_outcomes(results.sweep, results.records, SweepFolder(results.folder).records)
    configurations = {point.name: point for point in report.points}
    views = {method: MethodView.of(own) for method, own in by_method(configurations).items()}
    point, costs = reference_point_of(views), costs_of(results)
    paid = costs[FREE] * len(at_trainings(views[FREE], point))
    picked = {method: pick(own, RULE) for method, own in by_method(configurations).items()}
    names = {method: own.name for method, own in picked.items() if own is not None}

    def numbers(rows: tuple[str, ...], accuracies: Accuracies) -> Mapping[str, float]:
        seen = view(configurations, rows, accuracies)
        tests = {split: own for split, own in accuracies.items() if split.endswith("/test")}
        tests = {"id/test": tests.pop("id/test"), "ood": ood_mean(accuracies, "test")} | tests
        found = {f"{m} {split}": float(own[rows.index(n)]) for m, n in names.items() for split, own in tests.items()}
        return found | gains(seen) | reached(seen, point, {method: paid / cost for method, cost in costs.items()})

    known = estimated(draws, numbers)
    margin = results.sweep.report.margin
    gained = {rival: _column(known, f"over {rival}", margin) for rival in RIVALS}
    more = {kind: _column(known, f"more at {kind}", 0.0) for kind in BUDGETS}
    splits = [key.removeprefix("zero_shot ") for key in known if key.startswith("zero_shot ")]
    provenance = next(record.provenance for record in results.records if record.provenance is not None)
    return Comparison(
        sweep=results.sweep.name,
        made_with=dict(provenance.versions),
        margin=margin,
        reference_point=point,
        methods={
            method: Compared(
                cost=costs[method],
                picked=name,
                accuracies={split: Interval.of(known[f"{method} {split}"]) for split in splits},
                hypervolume={k: Interval.of(known[key]) for k in BUDGETS if (key := f"{method} at {k}") in known},
                gains={rival: own[method] for rival, own in gained.items() if method in own},
                more={kind: own[method] for kind, own in more.items() if method in own},
            )
            for method, name in names.items()
        },
    )


def gains(views: Views) -> dict[str, float]:
    """Each method's OOD accuracy over each rival's at equal ID accuracy."""
    return {f"{m} over {r}": at_equal_id(m, r)(views) for r in RIVALS for m in views if m not in (r, "zero_shot")}


def reached(views: Views, point: tuple[float, float], affordable: Mapping[str, float]) -> dict[str, float]:
    """Each method's hypervolume of all its trainings, and of those that are affordable; and each over the free rival's.

    Args:
        affordable: how many trainings.
    """
    curves = {method: (0.0, *own) for method, seen in views.items() if (own := at_trainings(seen, point))}
    whole = {method: curve[-1] for method, curve in curves.items()}
    paid = {m: float(np.interp(affordable[m], range(len(curve)), curve)) for m, curve in curves.items()}
    found = {}
    for kind, own in zip(BUDGETS, (whole, paid), strict=True):
        found |= {f"{method} at {kind}": value for method, value in own.items()}
        found |= {f"{method} more at {kind}": value - own[FREE] for method, value in own.items() if method != FREE}
    return found


def costs_of(results: Results) -> dict[str, float]:
    """What one training of each method costs over full fine-tuning's: all trials of the method, and all that they are
    made of, over the number of trainings that they are points of."""
    trials = {record.trial.id: record for record in results.records}
    of_method: dict[str, float] = {}
    for method, own in by_method({point.name: point for point in results.report.points}).items():
        taken, wanted = set[str](), [trial for point in own for trial in point.trials]
        while wanted:
            taken.add(trial := wanted.pop())
            wanted += trials[trial].trial.sources
        names = {name for point in own for name in point.trainings} or {point.name for point in own}
        seconds = sum(cost.seconds for trial in taken if (cost := trials[trial].cost) is not None)
        of_method[method] = seconds / sum(trials[trial].trial.configuration in names for trial in taken)
    return {method: cost / of_method["full"] for method, cost in of_method.items()}


def _column(known: Mapping[str, Estimate], words: str, margin: float) -> dict[str, Difference]:
    """The differences of a column of a table, by method."""
    own = {key.removesuffix(f" {words}"): estimate for key, estimate in known.items() if key.endswith(f" {words}")}
    return differences_of(own, margin)


def tables(comparison: Comparison) -> Iterator[str]:
    """The tables' lines."""
    yield from compared(comparison)
    yield ""
    yield from domains(comparison)


def compared(comparison: Comparison) -> Iterator[str]:
    """By method, the highest gain over the free rival first: gains at equal ID, hypervolumes, cost."""
    heads = [f"OOD over {rival}'s at equal ID" for rival in RIVALS]
    heads += ["hypervolume, equal trainings", f"over {FREE}'s", "hypervolume, equal cost", f"over {FREE}'s"]
    yield f"| method | {' | '.join(heads)} | cost |"
    yield f"|{'---|' * (2 + len(heads))}"

    def gain(method: str) -> float:
        own = comparison.methods[method].gains.get(FREE)
        return 0.0 if own is None else own.value

    for method in sorted(comparison.methods, key=gain, reverse=True):
        if not (own := comparison.methods[method]).hypervolume:
            continue
        cells = [shown(own.gains.get(rival)) for rival in RIVALS]
        for budget in BUDGETS:
            cells += [str(own.hypervolume[budget]), shown(own.more.get(budget))]
        yield f"| {method} | {' | '.join(cells)} | {own.cost:.2f} |"
    yield ""
    r_id, r_ood = comparison.reference_point
    yield (
        f"Hypervolumes are over ({r_id:.1f}, {r_ood:.1f}): zero-shot's ID accuracy and the lowest OOD of any front. A "
        f"difference of up to {comparison.margin:g} points of accuracy is equivalent."
    )


def domains(comparison: Comparison) -> Iterator[str]:
    """A line for each method: every domain's accuracy with one configuration."""
    splits = list(next(iter(comparison.methods.values())).accuracies)
    heads = ["ID", "OOD", *(split.removeprefix("ood/").removesuffix("/test") for split in splits[2:])]
    yield f"| method | trial | {' | '.join(heads)} |"
    yield f"|{'---|' * (2 + len(heads))}"
    for method, own in comparison.methods.items():
        yield f"| {method} | {own.picked} | {' | '.join(str(own.accuracies[split]) for split in splits)} |"
    yield ""
    yield f"Picked by {RULE}: {words_of(RULE)}, on validation images."


def shown(difference: Difference | None) -> str:
    if difference is None:
        return "-"
    return f"{difference.value:+.1f} ± {difference.half:.1f}, {WORDS[difference.verdict]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="a sweep, by name or folder, or a file that --keep wrote")
    parser.add_argument("--keep", type=Path, help="the file to write the numbers to")
    options = parser.parse_args()
    if options.name.endswith(".json"):
        comparison = Comparison.model_validate_json(Path(options.name).read_text())
    else:
        comparison = comparison_of(fpray.load(options.name))
    if options.keep is not None:
        options.keep.write_text(comparison.model_dump_json(indent=1) + "\n")
    print("\n".join(tables(comparison)))


if __name__ == "__main__":
    main()
