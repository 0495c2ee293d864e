"""The command: `python -m fpray.sweep [FILE]` makes a sweep's records complete, and reports on them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from upath import UPath

from fpray.check import first_of, quick_check, tell
from fpray.config import Sweep
from fpray.data import DATASETS
from fpray.errors import UserError
from fpray.interrupt import Interrupt, StopSign
from fpray.lock import Hold, LostHoldError, held
from fpray.model import check_model
from fpray.plan import plan
from fpray.preflight import check_objectives, preflight
from fpray.records import Record
from fpray.redaction import hidden
from fpray.report import Report, make_report, table
from fpray.storage import StorageError, is_local, open_storage, write_whole
from fpray.store import RecordStore
from fpray.sweepfile import default_file, dump_sweep, read_sweep
from fpray.sweepfolder import recorded_batch_size, settle
from fpray.trial import run_trial

if TYPE_CHECKING:
    from fpray.executor import Work
    from fpray.progress import Noted
    from fpray.schedule import Schedule
    from fpray.tracking import Tracker

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
# Wide enough off a terminal too: a log's lines are not to be broken.
console = Console(width=None if sys.stdout.isatty() else 160)


@app.command()
def main(
    file: Annotated[Path | None, typer.Argument(help="The sweep file; without one, an embedded example.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Override a key: --set train.epochs=4")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the resolved file and the plan, and stop.")] = False,
    address: Annotated[str | None, typer.Option(envvar="RAY_ADDRESS", help="A Ray cluster to run on.")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try the trials that failed again.")] = False,
) -> None:
    """Start, resume or extend the sweep that FILE describes, and show each method's ID/OOD trade-off."""
    try:
        sweep = read_sweep(file or default_file(), set_ or ())
        for model in sweep.model.each():
            check_model(model.name, model.pretrained)
        if dry_run:
            print(dump_sweep(sweep) + "\n" + plan(sweep))
            return
        code = run(sweep, address, retry_failed)
    except UserError as error:
        print(f"fpray: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:  # while trials run it is not raised, see `Interrupt`
        print("interrupted; the same command goes on from here", file=sys.stderr)
        raise typer.Exit(130) from None
    raise typer.Exit(code)


def run(sweep: Sweep, address: str | None, retry_failed: bool = False, work: Work = run_trial) -> int:
    """Run what is left of a sweep.

    Args:
        address: of a Ray cluster; None for a Ray of its own on this machine.
        retry_failed: whether trials that failed are left to do, too.
        work: what a trial does.

    Returns:
        The exit code: 0, 1 if trials failed, 128 and a signal's number if it was interrupted.

    Raises:
        UserError: for what the user can mend.
    """
    from fpray.schedule import Schedule  # late: Optuna takes seconds

    storage = open_storage(sweep.storage)
    if sweep.tracking is not None and sweep.tracking.uri is None and not is_local(storage):
        raise UserError("tracking.uri: name an MLflow server, since the storage is not on this machine")
    folder = storage / sweep.name
    try:
        with held(folder, lambda line: tell(line, console)) as hold:
            schedule = Schedule(sweep, _records(folder, retry_failed))
            if not schedule.complete:
                _check(sweep)
            if sweep.train.batch_size == "auto":
                sweep = with_batch_size(sweep, folder, address)
            settle(sweep, folder)
            return _complete(sweep, schedule, storage, folder, address, hold, work)
    except OSError as error:
        raise UserError(f"storage: {error}; mend that, and the same command goes on from here") from None
    except LostHoldError as error:
        raise UserError(str(error)) from None


def _records(folder: UPath, retry_failed: bool) -> list[Record]:
    """A sweep's records; damaged ones are told of, and their trials run again."""
    store = RecordStore(folder)
    store.remove_parts(folder)
    records = store.read_all(lambda damage: tell(f"warning: {hidden(str(damage))}; the trial runs again", console))
    for record in records:
        if record.status == "finished":
            store.remove_checkpoints(record.trial.id)  # of a trial whose process was killed right after its end
    return [r.again() if retry_failed and r.status == "failed" else r for r in records]


def _check(sweep: Sweep) -> None:
    """Find out what would go wrong in trials, before any of them starts.

    Raises:
        UserError: for the first thing that would.
    """
    preflight(sweep)
    dataset = DATASETS[sweep.data.layout](sweep.data)
    check_objectives(sweep, dataset.splits())
    if sweep.resources.gpus and not sweep.resources.loaders:
        tell("note: no process loads images for the GPU, which will wait; raise resources.cpus", console)
    for line in quick_check(dataset, sweep.resources.workers):
        tell(f"note: {line}", console)


def with_batch_size(sweep: Sweep, folder: UPath, address: str | None) -> Sweep:
    """The sweep with the number that `batch_size: auto` stands for: that of its records, else what fits."""
    from fpray.cluster import batch_size_that_fits, concurrency, connect

    size = recorded_batch_size(folder)
    if size is None:
        connect(address)
        concurrency(sweep.resources)  # without a GPU the trial of sizes would wait for ever
        size = batch_size_that_fits(sweep)
        console.print(f"train.batch_size: {size} is the largest that fits", highlight=False)
    train = sweep.train.model_copy(update={"batch_size": size})
    return sweep.model_copy(update={"train": train})


def _complete(
    sweep: Sweep, schedule: Schedule, storage: UPath, folder: UPath, address: str | None, hold: Hold, work: Work
) -> int:
    """Run the trials that have not ended; derive the report, and MLflow's runs, from all the records."""
    # Imported when a sweep really starts: Ray and MLflow take seconds.
    from fpray.cluster import concurrency, connect
    from fpray.tracking import Tracker, tracking_uri

    sign, at_once = StopSign(folder), 0
    sign.take_down()  # of a command that was interrupted before this one

    def stop() -> None:
        tell("stopping: trials end the epoch they are in; again, and all ends at once", console)
        with contextlib.suppress(StorageError):  # then the trials that run now end before the command does
            sign.put_up()

    with Interrupt(stop) as interrupt:
        if not schedule.complete:
            connect(address)
            interrupt.listen()
            at_once = concurrency(sweep.resources)
        uri = tracking_uri(sweep, storage)
        tracker = Tracker(sweep, storage, folder, uri) if uri is not None else None
        noted: list[Noted] = [tracker.note] if tracker is not None else []
        for note in noted:
            for record in schedule.wanted():
                note(record)
        if not schedule.complete:

            def may_go_on() -> bool:
                hold.check()
                return interrupt.signal is None

            _run_trials(sweep, schedule, folder, at_once, noted, work, may_go_on)
    sign.take_down()
    if not schedule.complete:
        if tracker is not None:
            tracker.leave()
        tell(_where_it_stands(schedule, sweep.train.epochs), console)
        return interrupt.exit_code
    return _conclude(sweep, schedule.wanted(), folder, tracker)


def _run_trials(
    sweep: Sweep,
    schedule: Schedule,
    folder: UPath,
    at_once: int,
    noted: list[Noted],
    work: Work,
    may_go_on: Callable[[], bool],
) -> None:
    """Run the trials that have not ended, and show how they go on."""
    from fpray.executor import execute
    from fpray.progress import Progress, Watch

    with Progress(schedule, at_once, sweep.train.epochs, console) as progress:

        def on_end(record: Record) -> None:
            for note in (progress.ended, *noted):
                note(record)

        with Watch(schedule, RecordStore(folder), noted, progress):
            # What trials don't need isn't given to their processes: it may hold a password.
            plain = sweep.model_copy(update={"tracking": None, "storage": ""})
            execute(schedule, plain, folder, at_once, on_end, work, may_go_on)


def _where_it_stands(schedule: Schedule, epochs: int) -> str:
    """What an interrupted sweep has done, in a line."""
    wanted = schedule.wanted()
    at = [f"{r.trial.id} after epoch {len(r.history)} of {epochs}" for r in wanted if r.status == "running"]
    done = f"interrupted: {sum(r.status != 'running' for r in wanted)} of {schedule.planned} trials are done"
    return f"{', '.join([done, *at])}; the same command goes on from here"


def _conclude(sweep: Sweep, records: Sequence[Record], folder: UPath, tracker: Tracker | None) -> int:
    """Report on a sweep whose trials have all ended; returns the exit code."""
    from fpray.progress import reason
    from fpray.tracking import open_command

    report = make_report(sweep, records)
    files = write_report(report, folder / "report")
    console.print(table(report))
    for line in unreadable_lines(records):
        tell(f"warning: {line}", console)
    for record in (r for r in records if r.status == "failed"):
        tell(f"failed: {record.trial.id}: {reason(record)}", console)
    if report.failed():
        tell("the same command with --retry-failed tries them again", console)
    tell(f"records and report: {hidden(str(folder))}", console)
    if tracker is not None:
        problem = tracker.close(report, files, lambda line: tell(line, console))
        tell(f"MLflow: {open_command(tracker.uri)}" if problem is None else f"warning: {problem}", console)
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
