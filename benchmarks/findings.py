"""The paper's five findings, held against a sweep with several seeds.

    python -m benchmarks.findings fpray-results/drawnet-seeds/report/report.json

Each finding (arXiv 2405.16027) is a list of claims "a difference of test accuracies is above 0". A difference is
taken seed by seed between two methods' picks; its 95 % interval is Student's t over the seeds. A claim is seen if the
interval lies above 0, not seen if it lies below, else undecided. A finding is seen if all its claims are, and not
seen if one of them is not.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from fpray.report.pareto import Configuration, Rule
from fpray.report.report import Report, describe
from fpray.report.terminal import half_width, interval

Part = Literal["id", "ood"]
Verdict = Literal["seen", "not seen", "undecided"]
Accuracies = Callable[[str], np.ndarray]
"""The test accuracies of a method's pick, in per cent, one for each seed."""
RULES: tuple[Rule, ...] = ("ood_val", "knee")
PARTS: tuple[Part, ...] = ("id", "ood")
PROTECTED = ("l1", "l2", "kd", "lora", "wise_ft")


@dataclass(frozen=True)
class Claim:
    """A claim that the mean of `differences` is above 0; they are in points of accuracy, one for each seed."""

    text: str
    differences: np.ndarray

    @property
    def mean(self) -> float:
        return float(self.differences.mean())

    @property
    def half(self) -> float:
        """Half the width of the mean's 95 % interval."""
        return half_width(self.differences.tolist())

    @property
    def verdict(self) -> Verdict:
        if abs(self.mean) <= self.half:
            return "undecided"
        return "seen" if self.mean > 0 else "not seen"


def findings(id_: Accuracies, ood: Accuracies) -> dict[str, list[Claim]]:
    """The claims of each finding."""
    id_protected = np.mean([id_(m) for m in PROTECTED], axis=0)
    ood_protected = np.mean([ood(m) for m in PROTECTED], axis=0)
    rival = max(("full", "l1", "l2", "kd", "lora"), key=lambda m: ood(m).mean())
    return {
        "full fine-tuning has higher ID and lower OOD than the protected methods": [
            Claim("ID: full - mean of protected", id_("full") - id_protected),
            Claim("OOD: mean of protected - full", ood_protected - ood("full")),
        ],
        "L1, L2 and WiSE-FT raise OOD over full fine-tuning": [
            Claim(f"OOD: {m} - full", ood(m) - ood("full")) for m in ("l1", "l2", "wise_ft")
        ],
        "WiSE-FT has the highest OOD": [Claim(f"OOD: wise_ft - {rival}, the best other", ood("wise_ft") - ood(rival))],
        "KD has higher ID than WiSE-FT, and OOD above full fine-tuning": [
            Claim("ID: kd - wise_ft", id_("kd") - id_("wise_ft")),
            Claim("OOD: kd - full", ood("kd") - ood("full")),
        ],
        "LoRA's ID is below full fine-tuning's": [Claim("ID: full - lora", id_("full") - id_("lora"))],
    }


def verdict(claims: list[Claim]) -> Verdict:
    """The verdict on a finding, from those on its claims."""
    verdicts = {claim.verdict for claim in claims}
    for decisive in ("not seen", "undecided"):
        if decisive in verdicts:
            return decisive
    return "seen"


def by_seed(picks: dict[str, Configuration], part: Part) -> Accuracies:
    return lambda method: np.array([getattr(accuracy, part) for accuracy in picks[method].test_of_seeds])


def print_picks(picks: dict[Rule, dict[str, Configuration]]) -> None:
    """Print a table of the test accuracies of each method's picks."""
    print("| method | ID at ood_val | OOD at ood_val | ID at knee | OOD at knee | hyperparameters at knee |")
    print("|---|---|---|---|---|---|")
    for method, knee in picks["knee"].items():
        cells = [interval(picks[rule][method], part) for rule in RULES for part in PARTS]
        print(f"| {method} | {' | '.join(cells)} | {describe(knee.params)} |")


def print_verdicts(claims_by_rule: dict[Rule, dict[str, list[Claim]]]) -> None:
    """Print a table of the findings, each claim's difference, and the verdicts on the findings as JSON."""
    verdicts = {
        rule: {finding: verdict(claims) for finding, claims in by_finding.items()}
        for rule, by_finding in claims_by_rule.items()
    }
    print("\n| finding | at ood_val | at knee |\n|---|---|---|")
    for finding in verdicts["knee"]:
        print(f"| {finding} | {' | '.join(verdicts[rule][finding] for rule in RULES)} |")
    print()
    for rule, by_finding in claims_by_rule.items():
        for claim in (claim for claims in by_finding.values() for claim in claims):
            print(f"{rule}: {claim.text} = {claim.mean:+.1f} ± {claim.half:.1f}: {claim.verdict}")
    print(json.dumps(verdicts))


def main(path: str) -> None:
    report = Report.model_validate_json(Path(path).read_bytes())
    picks = {rule: {m.method: getattr(m, rule) for m in report.methods} for rule in RULES}
    print_picks(picks)
    print_verdicts({rule: findings(by_seed(picks[rule], "id"), by_seed(picks[rule], "ood")) for rule in RULES})


if __name__ == "__main__":
    main(sys.argv[1])
