"""The command `python -m fpray.check FILE`: it shows the data of a sweep, and everything that is wrong with it."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer
from rich.console import Console

from fpray.arguments import OVERRIDES, file_and_overrides
from fpray.command import told_in_a_sentence
from fpray.errors import UserError

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(context_settings=OVERRIDES)
def check(
    context: typer.Context,
    arguments: Annotated[
        list[str], typer.Argument(metavar="FILE [KEY=VALUE]...", help="The sweep file; and keys to override.")
    ],
    *,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override a key: --set data.id=photo")] = None,
    images: Annotated[int, typer.Option(min=1, help="Images of each split to try.")] = 100,
    every: Annotated[bool, typer.Option("--all", help="Try every image.")] = False,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes that decode; with --all one for each CPU, else none.")
    ] = None,
) -> None:
    """Show the data of a sweep: each split's images and classes, and whether images can be decoded.

    Exit code 1: some images can't be decoded. 2: the sweep can't run on this data.
    """
    if workers is None:
        workers = (os.cpu_count() or 1) if every else 0
    with told_in_a_sentence():
        options = [name for option in context.command.params for name in option.opts]
        file, overrides = file_and_overrides(arguments, set_ or (), options)
        if file is None:
            raise UserError("which sweep file? Write fpray check FILE")
        # Imported here since they import torch, and --help must be fast.
        from fpray.config import read_sweep
        from fpray.data import open_dataset, problems, show_check

        sweep = read_sweep(file, overrides)
        dataset = open_dataset(sweep.data)
        reports = show_check(dataset, None if every else images, workers, Console())
        broken = any(report.broken for report in reports)
        found = problems(reports, sweep.resources.workers)
    for problem in found:
        print(f"fpray: {problem}", file=sys.stderr)
    raise typer.Exit(2 if found else int(broken))


if __name__ == "__main__":
    app()
