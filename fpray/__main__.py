"""The command `fpray`, also `python -m fpray`: a subcommand for each thing that it does."""

from __future__ import annotations

from typing import Annotated

import typer

from fpray import __version__
from fpray.arguments import OVERRIDES
from fpray.cache import cache
from fpray.check import check
from fpray.export.commands import export, predict
from fpray.init import init
from fpray.results import delete, evaluate, list_, optuna, report, show, status, stop
from fpray.schema import schema
from fpray.sweep.__main__ import sweep

app = typer.Typer(pretty_exceptions_enable=False, no_args_is_help=True)


def _tell_version(asked: bool) -> None:
    if asked:
        print(f"fpray {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version, and stop.")
    ] = False,
) -> None:
    """Sweeps over the ways to fine-tune CLIP, for the best ID/OOD trade-off on your data."""


app.command(context_settings=OVERRIDES)(sweep)
app.command(context_settings=OVERRIDES)(check)
app.command()(status)
app.command("list")(list_)
app.command()(show)
app.command()(report)
app.command()(evaluate)
app.command()(stop)
app.command()(optuna)
app.command()(delete)
app.command()(export)
app.command()(predict)
app.command()(init)
app.command()(schema)
app.command()(cache)

if __name__ == "__main__":
    app(prog_name="fpray")
