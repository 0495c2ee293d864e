"""The command: `python -m fpray.data check FILE` shows what a sweep's data is, and what is wrong with it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fpray.check import problems, show_check
from fpray.data import DATASETS
from fpray.errors import UserError
from fpray.sweepfile import read_sweep

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


@app.callback()
def main() -> None:
    """What concerns the data of a sweep."""


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="The sweep file.")],
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override a key: --set train.epochs=4")] = None,
    images: Annotated[int, typer.Option(min=1, help="How many images of each split to try.")] = 100,
    every: Annotated[bool, typer.Option("--all", help="Try every image.")] = False,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes that decode; with --all one for each CPU, else none.")
    ] = None,
) -> None:
    """Show each split's images and classes, and try to decode images.

    Exit code 1: some images can't be decoded. 2: the sweep can't run on this data.
    """
    if workers is None:
        workers = (os.cpu_count() or 1) if every else 0
    broken = False
    try:
        sweep = read_sweep(file, set_ or ())
        dataset = DATASETS[sweep.data.layout](sweep.data)
        reports = show_check(dataset, None if every else images, workers, Console())
        broken = any(report.broken for report in reports)
        found = problems(reports, sweep.resources.workers)
    except UserError as error:
        found = [str(error)]
    for problem in found:
        print(f"fpray: {problem}", file=sys.stderr)
    raise typer.Exit(2 if found else int(broken))


if __name__ == "__main__":
    app()
