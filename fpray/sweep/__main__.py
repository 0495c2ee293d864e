"""The command: `python -m fpray.sweep [FILE]` makes a sweep's records complete, and reports on them."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fpray.arguments import OVERRIDES, file_and_overrides
from fpray.command import told_in_a_sentence

if TYPE_CHECKING:
    from fpray.config import Sweep

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(context_settings=OVERRIDES)
def sweep(
    context: typer.Context,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE] [KEY=VALUE]...",
            help="The sweep file, without one an embedded example; and keys to override: train.epochs=4",
            show_default=False,
        ),
    ] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="The same: --set train.epochs=4")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the resolved file and the plan, and stop.")] = False,
    address: Annotated[str | None, typer.Option(envvar="RAY_ADDRESS", help="A Ray cluster to run on.")] = None,
    hours: Annotated[
        float | None, typer.Option(min=0, help="Begin no trial that would end after so many hours from now.")
    ] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try the trials that failed again.")] = False,
) -> None:
    """Start, resume or extend the sweep that FILE describes, and show each method's ID/OOD trade-off."""
    with told_in_a_sentence():
        from fpray.config import default_file, read_content
        from fpray.sweep.events import events
        from fpray.sweep.header import has_ended, header

        options = [name for option in context.command.params for name in option.opts]
        file, overrides = file_and_overrides(arguments or (), set_ or (), options)
        path = file or default_file()
        content = read_content(path, overrides)
        if dry_run:
            print("\n".join(_dry_run(content, path, here=address is None)))
            return
        events.say(header(content))
        with ExitStack() as stack:
            if address is None and not has_ended(content):
                from fpray.execution import started_early

                stack.enter_context(started_early())
            # Late: they import torch, and help is to come at once.
            with events.doing("loading PyTorch"):
                from fpray.sweep.run import run_sweep

                settings, kept = _read(content, path)
            for line in kept:
                events.say(f"note: {line}")
            raise typer.Exit(run_sweep(settings, address=address, retry_failed=retry_failed, hours=hours))


def _read(content: dict[str, Any], path: Path) -> tuple[Sweep, list[str]]:
    """The sweep, whose models' names are known, and what its folder keeps, see `sweep_for_its_folder`."""
    from fpray.model import require_model
    from fpray.sweep.reading import sweep_for_its_folder

    settings, kept = sweep_for_its_folder(content, path)
    for model in settings.model.each():
        require_model(model.name, model.pretrained)
    return settings, kept


def _dry_run(content: dict[str, Any], path: Path, here: bool) -> list[str]:
    """The resolved file, and the plan."""
    from fpray.config import dump_sweep
    from fpray.sweep.dry import dry_run_lines

    settings, kept = _read(content, path)
    return [dump_sweep(settings), *kept, *dry_run_lines(settings, here=here)]


if __name__ == "__main__":
    app()
