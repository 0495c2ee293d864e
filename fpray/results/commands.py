"""The commands on sweeps that are there: `status`, `list`, `show`, `report`, `stop` and `delete`, from any terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from fpray.command import told_in_a_sentence

Name = Annotated[
    str | None, typer.Argument(help="A sweep's name, folder, address or sweep file; without one, the newest here.")
]
Named = Annotated[str, typer.Argument(help="A sweep's name, folder, address or sweep file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]


def status(name: Name = None, as_json: AsJson = False) -> None:
    """Show how far a sweep is, and who runs it."""
    with told_in_a_sentence():
        from fpray.results.finding import find, newest
        from fpray.results.shown import status_lines
        from fpray.results.status import status_of

        found = status_of(find(name) if name else newest())
        print(found.model_dump_json(indent=1) if as_json else "\n".join(status_lines(found)))


def list_(as_json: AsJson = False) -> None:
    """List the sweeps in ./fpray-results and in the storages used before."""
    with told_in_a_sentence():
        from fpray.results.finding import all_sweeps
        from fpray.results.shown import list_lines
        from fpray.results.status import status_of

        found = [status_of(folder) for folder in all_sweeps()]
        as_text = [status.model_dump(mode="json", exclude={"studies", "begun"}) for status in found]
        print(json.dumps(as_text, indent=1) if as_json else "\n".join(list_lines(found)))


def show(name: Named, trial: Annotated[str, typer.Argument(help="A trial's id.")], as_json: AsJson = False) -> None:
    """Show one trial: its hyperparameters, what it reached, what it cost, and where its weights are."""
    with told_in_a_sentence():
        from fpray.results.finding import find, find_trial
        from fpray.results.shown import trial_lines

        folder = find(name)
        record = find_trial(folder, trial)
        print(record.model_dump_json(indent=1) if as_json else "\n".join(trial_lines(record, folder)))


def optuna(
    name: Named,
    storage: Annotated[str, typer.Option(help="Where to: an address as Optuna takes it, sqlite:///studies.db")],
) -> None:
    """Write the sweep's Optuna studies, for optuna-dashboard and Optuna's own plots."""
    with told_in_a_sentence():
        from fpray.results.results import load

        results = load(name)
        print("\n".join(results.export_studies(storage)))


def report(
    names: Annotated[list[str], typer.Argument(help="Sweeps to show together, by name, folder, address or file.")],
    to: Annotated[Path | None, typer.Option(help="The file to write; by itself NAME.html here.")] = None,
) -> None:
    """Write the report's page: which method, the picture, the tables, in one file that needs no network."""
    with told_in_a_sentence():
        from fpray.errors import UserError, message_of
        from fpray.report import as_html, together
        from fpray.results.results import load

        contents = [load(name).content for name in names]
        if len({content.sweep for content in contents}) < len(contents):
            raise UserError("two of these sweeps have the same name, by which the page tells them apart")
        file = to or Path(f"{'-'.join(content.sweep for content in contents)}.html")
        page = as_html(contents[0] if len(contents) == 1 else together(contents))
        try:
            file.write_text(page, encoding="utf-8")
        except OSError as error:
            raise UserError(f"--to: can't write '{file}': {message_of(error)}") from None
        for content in contents:
            print("\n".join(content.answer))
        print(f"the whole report: {file.resolve()}")


def evaluate(
    name: Named,
    file: Annotated[
        Path, typer.Argument(help="A sweep file: its data are evaluated on, its name is the evaluation's.")
    ],
    *,
    trial: Annotated[list[str] | None, typer.Option(help="A trial's id; without it, all that have finished.")] = None,
    address: Annotated[str | None, typer.Option(envvar="RAY_ADDRESS", help="A Ray cluster to run on.")] = None,
) -> None:
    """Evaluate finished trials on other test images, recorded beside their results."""
    with told_in_a_sentence():
        from fpray.config import read_sweep
        from fpray.results.finding import find
        from fpray.results.results import load
        from fpray.sweep import evaluate_sweep

        sweep = load(name).sweep
        raise typer.Exit(evaluate_sweep(find(name), sweep, read_sweep(file), trials=trial or (), address=address))


def stop(name: Named) -> None:
    """Have a running sweep stop: its trials end the epoch they are in. The same command goes on later."""
    with told_in_a_sentence():
        from fpray.results.changing import ask_to_stop
        from fpray.results.finding import find

        print(ask_to_stop(find(name)))


def delete(
    name: Named, trial: Annotated[str | None, typer.Argument(help="A trial's id.")] = None, yes: Yes = False
) -> None:
    """Delete one trial, which the sweep's command then makes again; or, without TRIAL, the whole sweep."""
    with told_in_a_sentence():
        from fpray.results.changing import delete_sweep, delete_trial
        from fpray.results.finding import find

        folder = find(name)
        what = f"trial {trial} of" if trial else "all records, weights and reports of"
        if not yes:
            typer.confirm(f"Delete {what} '{folder.path}'?", abort=True)
        print(delete_trial(folder, trial) if trial else delete_sweep(folder))
