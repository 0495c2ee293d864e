"""benchmarks/sizes.py shows what the report has of model sizes."""

from __future__ import annotations

from pathlib import Path

from upath import UPath

from benchmarks.sizes import tables
from fpray.config import read_sweep
from fpray.records import RecordStore
from fpray.report.sizes import Sizes
from tests.report.sized import PLANTED, made

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "benchmarks" / "sizes-drawnet.json"


def test_every_gain_is_in_the_tables_and_they_are_the_same_of_what_is_kept(tmp_path: Path) -> None:
    sizes = made(RecordStore(UPath(tmp_path)), PLANTED).report().sizes
    assert sizes is not None
    text = "\n".join(tables(sizes))
    for gains in sizes.gains:
        (line,) = [own for own in text.splitlines() if own.startswith(f"| {gains.method} |")]
        for difference in (*gains.on.values(), *gains.more.values()):
            assert f"{difference.value:+.1f} ± {difference.half:.1f}" in line
    assert "| method | gain on small | gain on large | more on large |" in text
    assert "On large, held against small, the gain over full fine-tuning" in text.splitlines()[-1]
    assert "\n".join(tables(Sizes.model_validate_json(sizes.model_dump_json()))) == text


def test_the_page_has_every_line_of_what_is_kept() -> None:
    sizes, text = Sizes.model_validate_json(KEPT.read_text()), (ROOT / "docs" / "beyond.md").read_text()
    for line in filter(None, "\n".join(tables(sizes)).splitlines()):
        assert line in text, line


def test_what_is_kept_is_of_the_shipped_sweep() -> None:
    sweep, sizes = read_sweep(ROOT / "sweeps" / "drawnet-sizes.yaml", []), Sizes.model_validate_json(KEPT.read_text())
    assert {own.model for own in sizes.models} == {model.short for model in sweep.model.each()}
    assert {own.method for own in sizes.gains} == set(sweep.methods) - {"zero_shot", "full"}
