"""The paper's five findings, held against a sweep with several seeds.

    python benchmarks/findings.py fpray-results/drawnet-seeds/report/report.json

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

import numpy as np

from fpray.pareto import Point, Rule
from fpray.report import Report, describe, half_width, interval

RULES: tuple[Rule, ...] = ("ood_val", "knee")
PROTECTED = ("l1", "l2", "kd", "lora", "wise_ft")
Accuracies = Callable[[str], np.ndarray]


@dataclass(frozen=True)
class Claim:
    """`text` says what the per-seed `differences`, in points, would be above 0 for."""

    text: str
    differences: np.ndarray

    @property
    def half(self) -> float:
        return half_width(self.differences.tolist())

    @property
    def verdict(self) -> str:
        mean = self.differences.mean()
        return "undecided" if abs(mean) <= self.half else "seen" if mean > 0 else "not seen"


def findings(id_: Accuracies, ood: Accuracies) -> dict[str, list[Claim]]:
    """The findings' claims; `id_` and `ood` give a method's test accuracy by seed."""
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


def verdict(claims: list[Claim]) -> str:
    """What the claims say of their finding."""
    verdicts = {claim.verdict for claim in claims}
    return "not seen" if "not seen" in verdicts else "undecided" if "undecided" in verdicts else "seen"


def main(path: str) -> None:
    report = Report.model_validate_json(Path(path).read_bytes())
    picks = {rule: {m.method: getattr(m, rule) for m in report.methods} for rule in RULES}
    print("| method | ID at ood_val | OOD at ood_val | ID at knee | OOD at knee | hyperparameters at knee |")
    print("|---|---|---|---|---|---|")
    for method in (m.method for m in report.methods):
        cells = [interval(picks[rule][method], part) for rule in RULES for part in ("id", "ood")]
        print(f"| {method} | {' | '.join(cells)} | {describe(picks['knee'][method].params)} |")
    print("\n| finding | at ood_val | at knee |\n|---|---|---|")
    judged = {rule: findings(by_seed(picks[rule], "id"), by_seed(picks[rule], "ood")) for rule in RULES}
    for finding in judged["knee"]:
        print(f"| {finding} | {' | '.join(verdict(judged[rule][finding]) for rule in RULES)} |")
    print()
    for rule in RULES:
        for claim in (claim for claims in judged[rule].values() for claim in claims):
            print(f"{rule}: {claim.text} = {claim.differences.mean():+.1f} ± {claim.half:.1f}: {claim.verdict}")
    print(json.dumps({rule: {name: verdict(claims) for name, claims in judged[rule].items()} for rule in RULES}))


def by_seed(picks: dict[str, Point], part: str) -> Accuracies:
    """The test accuracies, by seed, of each method's pick."""
    return lambda method: np.array([getattr(accuracy, part) for accuracy in picks[method].test_of_seeds])


if __name__ == "__main__":
    main(sys.argv[1])
