"""What protection gains on a smaller and on a larger model.

    python -m fpray.sweep sweeps/drawnet-sizes.yaml
    python -m benchmarks.sizes drawnet-sizes --keep benchmarks/sizes-drawnet.json
    python -m benchmarks.sizes benchmarks/sizes-drawnet.json

It prints Markdown: what is reached with each model, and the report's comparison of gains over full fine-tuning at equal
ID accuracy, as `fpray/report/sizes.py` has it. `--keep` writes the numbers, which can be given in the sweep's place.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import fpray
from benchmarks.methods import shown
from fpray.report.pareto import Configuration
from fpray.report.sizes import Sizes


def tables(sizes: Sizes) -> Iterator[str]:
    """The tables' lines."""
    yield f"| model | zero_shot | full, by {sizes.rule} | the best other with no less ID |\n|---|---|---|---|"
    for own in sizes.models:
        cells = [reached(own.bases.get("zero_shot")), reached(own.bases.get("full")), reached(own.best)]
        yield f"| {own.text} | {' | '.join(cells)} |"
    first, *larger = [own.model for own in sizes.models]
    heads = [f"gain on {first}", *(f"{words} {model}" for model in larger for words in ("gain on", "more on"))]
    yield f"\n| method | {' | '.join(heads)} |\n|{'---|' * (1 + len(heads))}"
    for gains in sizes.gains:
        cells = [shown(gains.on.get(first))]
        cells += [shown(part.get(model)) for model in larger for part in (gains.on, gains.more)]
        yield f"| {gains.method} | {' | '.join(cells)} |"
    yield from ("", *sizes.said())


def reached(own: Configuration | None) -> str:
    """ID and OOD test accuracy, and whose."""
    return "-" if own is None else f"{own.test.id:.1f} / {own.test.ood:.1f} ({own.name})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="a sweep, by name or folder, or a file that --keep wrote")
    parser.add_argument("--keep", type=Path, help="the file to write the numbers to")
    options = parser.parse_args()
    is_kept = options.name.endswith(".json")
    sizes = (
        Sizes.model_validate_json(Path(options.name).read_text()) if is_kept else fpray.load(options.name).report.sizes
    )
    if sizes is None:
        parser.error(f"'{options.name}' compares no models: give several as model: {{name: [...]}}")
    if options.keep is not None:
        options.keep.write_text(sizes.model_dump_json(indent=1) + "\n")
    print("\n".join(tables(sizes)))


if __name__ == "__main__":
    main()
