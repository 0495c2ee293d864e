"""The command: `python -m fpray.sweep [FILE]` makes a sweep's records complete, and reports on them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from upath import UPath

from fpray.check import first_of, quick_check, tell
from fpray.config import Sweep
from fpray.data import DATASETS
from fpray.errors import UserError
from fpray.lock import held
from fpray.model import check_model
from fpray.plan import plan
from fpray.preflight import check_objectives, preflight
from fpray.records import Record, RecordStore
from fpray.report import Report, make_report, table
from fpray.storage import is_local, open_storage, write_whole
from fpray.sweepfile import default_file, dump_sweep, read_sweep
from fpray.sweepfolder import recorded_batch_size, settle

if TYPE_CHECKING:
    from fpray.schedule import Schedule

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
# Wide enough off a terminal too: a log's lines are not to be broken.
console = Console(width=None if sys.stdout.isatty() else 160)


@app.command()
def main(
    file: Annotated[Path | None, typer.Argument(help="The sweep file; without one, an embedded example.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override a key: --set train.epochs=4")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the resolved file and the plan, and stop.")] = False,
    address: Annotated[str | None, typer.Option(envvar="RAY_ADDRESS", help="A Ray cluster to run on.")] = None,
) -> None:
    """Start, resume or extend the sweep that FILE describes, and show each method's ID/OOD trade-off."""
    try:
        sweep = read_sweep(file or default_file(), set_ or ())
        for model in sweep.model.each():
            check_model(model.name, model.pretrained)
        if dry_run:
            print(dump_sweep(sweep) + "\n" + plan(sweep))
            return
        code = run(sweep, address)
    except UserError as error:
        print(f"fpray: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    raise typer.Exit(code)


def run(sweep: Sweep, address: str | None) -> int:
    """Run what is left of a sweep; returns the exit code: 0, 1 if trials failed, 130 if it was interrupted.

    Raises:
        UserError: for what the user can mend, before any trial starts.
    """
    from fpray.schedule import Schedule  # late: Optuna takes seconds

    storage = open_storage(sweep.storage)
    if sweep.tracking is not None and sweep.tracking.uri is None and not is_local(storage):
        raise UserError("tracking.uri: name an MLflow server, since the storage is not on this machine")
    folder = storage / sweep.name
    with held(folder):
        schedule = Schedule(sweep, RecordStore(folder).read_all())
        if not schedule.complete:
            preflight(sweep)
            dataset = DATASETS[sweep.data.layout](sweep.data)
            check_objectives(sweep, dataset.splits())
            if sweep.resources.gpus and not sweep.resources.loaders:
                tell("note: no process loads images for the GPU, which will wait; raise resources.cpus", console)
            for line in quick_check(dataset, sweep.resources.workers):
                tell(f"note: {line}", console)
        if sweep.train.batch_size == "auto":
            sweep = with_batch_size(sweep, folder, address)
        settle(sweep, folder)
        return _complete(sweep, schedule, storage, folder, address)


def with_batch_size(sweep: Sweep, folder: UPath, address: str | None) -> Sweep:
    """The sweep with the number that `batch_size: auto` stands for: that of its records, else what fits."""
    from fpray.executor import batch_size_that_fits, concurrency, connect

    size = recorded_batch_size(folder)
    if size is None:
        connect(address)
        concurrency(sweep.resources)  # without a GPU the trial of sizes would wait for ever
        size = batch_size_that_fits(sweep)
        console.print(f"train.batch_size: {size} is the largest that fits", highlight=False)
    train = sweep.train.model_copy(update={"batch_size": size})
    return sweep.model_copy(update={"train": train})


def _complete(sweep: Sweep, schedule: Schedule, storage: UPath, folder: UPath, address: str | None) -> int:
    """Run the trials that have no record yet; derive the report, and MLflow's runs, from all the records."""
    # Imported when a sweep really starts: Ray and MLflow take seconds.
    from fpray.executor import concurrency, connect, execute
    from fpray.progress import Progress, Watch
    from fpray.tracking import Tracker, open_command, tracking_uri

    store, uri = RecordStore(folder), tracking_uri(sweep, storage)
    at_once = 0
    if not schedule.complete:
        connect(address)
        at_once = concurrency(sweep.resources)
    tracker = Tracker(sweep, storage, folder, uri) if uri is not None else None
    noted = [tracker.note] if tracker is not None else []
    for note in noted:
        for record in schedule.wanted():
            note(record)
    if not schedule.complete:
        with Progress(schedule, at_once, sweep.train.epochs, console) as progress:
            watch = Watch(schedule, store, noted, progress)
            watch.start()

            def on_end(record: Record) -> None:
                for note in (progress.ended, *noted):
                    note(record)

            execute(schedule, sweep, folder, at_once, on_end)
            watch.end()
    if not schedule.complete:
        console.print("interrupted; the same command goes on from here")
        return 130
    report = make_report(sweep, schedule.wanted())
    files = write_report(report, folder / "report")
    console.print(table(report))
    for line in unreadable_lines(schedule.wanted()):
        tell(f"warning: {line}", console)
    console.print(f"records and report: {folder}", highlight=False, soft_wrap=True)
    if tracker is not None and uri is not None:
        problem = tracker.close(report, files)
        line = f"MLflow: {open_command(uri)}" if problem is None else f"warning: {problem}"
        console.print(line, highlight=False, soft_wrap=True)
    return 1 if report.failed() else 0


def unreadable_lines(records: Sequence[Record]) -> list[str]:
    """The images that trials couldn't decode, a line for each split."""
    found: dict[str, dict[str, None]] = {}
    for record in records:
        for split, names in record.unreadable.items():
            found.setdefault(split, {}).update(dict.fromkeys(names))
    return [
        f"{split}: {len(names)} images can't be decoded: {first_of(list(names), 5)}" for split, names in found.items()
    ]


def write_report(report: Report, folder: UPath) -> list[UPath]:
    """Write each method's front and the whole report as JSON, the figure as a page and as a picture."""
    from fpray import figures

    contents = {f"front-{m.name}.json": m.model_dump_json(indent=1).encode() for m in report.methods}
    contents |= {"report.json": report.model_dump_json(indent=1).encode()}
    contents |= {"fronts.html": figures.html(report).encode(), "fronts.png": figures.png(report)}
    for name, content in contents.items():
        write_whole(folder / name, content)
    return [folder / name for name in contents]


if __name__ == "__main__":
    app()
