"""docs/findings.md shows what the kept evidence gives, and its sweep's file is the one that is shipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.evidence import Evidence
from benchmarks.findings import tables
from fpray.config import read_sweep
from fpray.search import studies

ROOT = Path(__file__).parents[1]
KEPT = sorted((ROOT / "benchmarks").glob("findings-*.json"))
PAGE = ROOT / "docs" / "findings.md"


@pytest.mark.parametrize("file", KEPT, ids=lambda file: file.stem)
def test_the_page_has_every_line_of_the_tables(file: Path) -> None:
    text = PAGE.read_text()
    for block in tables(Evidence.model_validate_json(file.read_text())):
        for line in filter(None, block.splitlines()):
            assert line in text, line


@pytest.mark.parametrize("file", KEPT, ids=lambda file: file.stem)
def test_the_evidence_is_of_the_shipped_sweep(file: Path) -> None:
    evidence = Evidence.model_validate_json(file.read_text())
    sweep = read_sweep(ROOT / "sweeps" / "drawnet-findings.yaml", [])
    assert (evidence.objectives, evidence.rules) == (sweep.search.objectives, sweep.report.rules)
    planned = {study.method: study.configurations for study in studies(sweep)}
    methods = [own.method for own in evidence.configurations.values()]
    assert {method: methods.count(method) for method in planned} == planned
    assert set(evidence.draws) <= set(sweep.data.seeds)


@pytest.mark.parametrize("file", KEPT, ids=lambda file: file.stem)
def test_loras_best_learning_rate_is_inside_its_range(file: Path) -> None:
    """Else its highest ID accuracy would be that of a range, not of the method."""
    means = Evidence.model_validate_json(file.read_text()).means()
    lora = [own for own in means.values() if own.method == "lora"]
    rates = sorted(float(own.params["lr"]) for own in lora)
    best = max(lora, key=lambda own: own.val.id)
    assert rates[0] < float(best.params["lr"]) < rates[-1]


def test_something_is_kept() -> None:
    assert KEPT and PAGE.exists()


def test_wise_ft_has_as_many_configurations_as_its_rivals() -> None:
    sweep = read_sweep(ROOT / "sweeps" / "drawnet-findings.yaml", [])
    budgets = {study.method: study.configurations for study in studies(sweep) if study.method != "zero_shot"}
    assert len(set(budgets.values())) == 1
