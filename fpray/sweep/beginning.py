"""The beginning of a sweep: what could go wrong is found out, and its file is settled beside the records there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fpray.config import Needs, Sweep
from fpray.data import fingerprints_of_draws, open_dataset, quick_check
from fpray.records import Record, SweepFolder, identify, renew
from fpray.redaction import hidden
from fpray.report import describe
from fpray.search import Schedule, tried_again
from fpray.sweep.disk import lack_of_room
from fpray.sweep.doubts import doubts
from fpray.sweep.events import events
from fpray.sweep.leaving import Leaving
from fpray.sweep.plan import trials_line
from fpray.sweep.points import Points, points_of
from fpray.sweep.preflight import check_objectives, preflight
from fpray.sweep.settling import Start, changed_plugins, next_start, require_same_data, settle, settled_before


@dataclass(frozen=True)
class Begun:
    """A sweep that is settled in its folder, and the id by which its runs are found."""

    schedule: Schedule
    points: Points | None
    """The points of its curves; None while trials are left."""
    retry_failed: bool
    identity: str


def begin(sweep: Sweep, folder: SweepFolder, *, address: str | None, retry_failed: bool, leaving: Leaving) -> Begun:
    """Begin a sweep, or go on with it, in a folder that this command holds.

    Args:
        address: of a Ray cluster; None for a Ray of its own on this machine.
        retry_failed: whether trials that failed are left to do, too.
        leaving: what is to do if Ray is lost meanwhile.

    Raises:
        UserError: for a mistake that the user can mend.
    """
    records = _read_records(folder)
    sweep, checked = _without_auto(sweep, folder, address, leaving)
    start = next_start(sweep, folder, records)
    if retry_failed:
        records = _try_again(records, sweep, start, folder)
    schedule = Schedule(sweep, records, start.number)
    events.say(trials_line(schedule))
    points = points_of(schedule, folder, retry_failed)
    if points is None or not points.complete:
        if not checked:
            _check(sweep, folder)
        require_same_data(fingerprints_of_draws(sweep.data), folder, records)
    identity = _identify(sweep, folder)
    settle(sweep, folder, start)
    for line in (*start.changes, *changed_plugins(sweep, records)):
        events.say(f"note: {line}")
    return Begun(schedule, points, retry_failed, identity)


def _read_records(folder: SweepFolder) -> list[Record]:
    """The records of a sweep. The command says which are damaged; their trials run again."""
    store = folder.records
    store.remove_parts(folder.path)
    records = store.read_all(lambda damage: events.say(f"warning: {hidden(str(damage))}; the trial runs again"))
    # A trial's process may have been killed right after its end.
    for trial_id in store.with_checkpoints() & {r.trial.id for r in records if r.status == "finished"}:
        store.remove_checkpoints(trial_id)
    return records


def _identify(sweep: Sweep, folder: SweepFolder) -> str:
    """The id by which the sweep's runs are found. A copy of a sweep whose runs are on a server gets one of its own."""
    identity, copied_from = identify(folder)
    if copied_from is None or sweep.tracking is None or sweep.tracking.uri is None:
        return identity.id
    events.say(
        f"note: this folder is a copy of '{hidden(copied_from)}', which keeps its runs in MLflow; the copy's are new"
    )
    return renew(folder).id


def _try_again(records: list[Record], sweep: Sweep, start: Start, folder: SweepFolder) -> list[Record]:
    """The records, of which those that failed are to go on. The command says which get other hyperparameters."""
    again = tried_again(records, sweep, start.number)
    for before, now in zip(records, again, strict=True):
        if now.trial != before.trial:
            folder.records.remove_checkpoints(now.trial.id)
            new, old = describe(now.trial.params), describe(before.trial.params)
            events.say(f"note: {now.trial.id} is tried again with {new}; it failed with {old}")
    return again


def _check(sweep: Sweep, folder: SweepFolder) -> None:
    """Find out what would go wrong in trials, before any of them starts.

    Raises:
        UserError: for the first thing that would.
    """
    dataset = open_dataset(sweep.data)
    with events.doing("checking the models"):
        weights = preflight(sweep, dataset.classes)
    with events.doing("checking the data"):
        check_objectives(sweep, dataset.splits())
        remarks = quick_check(dataset, max(sweep.resources_of(method).workers for method in sweep.methods))
    resources = [sweep.resources_of(method) for method in sweep.methods]
    if any(needs.gpus and not needs.loaders for needs in resources):
        events.say("note: no process loads images for the GPU, which will wait; raise resources.cpus")
    sizes = {split: len(dataset.images(split)) for split in dataset.splits()}
    room = lack_of_room(sweep, folder, weights)
    for line in (*remarks, *doubts(sweep, sizes, weights), *((room,) if room else ())):
        events.say(f"note: {line}")


def _without_auto(sweep: Sweep, folder: SweepFolder, address: str | None, leaving: Leaving) -> tuple[Sweep, bool]:
    """The sweep with what `auto` stands for in `train`, and whether it was checked before.

    That is what its records have, else what is tried where trials run, which a checked sweep alone can be.
    """
    auto = [key for key in ("batch_size", "compile") if getattr(sweep.train, key) == "auto"]
    known = settled_before(folder) if auto else {}
    if not any(sweep.resources_of(method).gpus for method in sweep.methods):
        known = {"compile": False} | known
    sweep = sweep.with_train(**{key: known[key] for key in auto if key in known})
    left = [key for key in auto if key not in known]
    if not left:
        return sweep, False
    _check(sweep, folder)
    return _tried(sweep, left, address, leaving), True


def _tried(sweep: Sweep, left: Sequence[str], address: str | None, leaving: Leaving) -> Sweep:
    """The sweep with what `auto` stands for in these keys of `train`, tried where trials run."""
    from fpray.execution import Cluster, batch_size_that_fits, compiling_pays

    what = f"trying on a GPU what {' and '.join(f'train.{key}' for key in left)} should be"
    with leaving.connected(address), Cluster(sweep, own=address is None) as cluster, events.doing(what):
        told: set[str] = set()

        def on_wait(needs: Needs) -> None:
            if (line := cluster.waiting([needs])) is not None and line not in told:
                told.add(line)
                events.say(line)

        if "batch_size" in left:
            sweep = sweep.with_train(batch_size=batch_size_that_fits(sweep, on_wait))
            events.say(f"train.batch_size: {sweep.train.batch_size} is the largest that fits")
        if "compile" in left:
            sweep = sweep.with_train(compile=compiling_pays(sweep, on_wait))
            said = "on, since a trial takes" if sweep.train.compiles else "off, since no trial takes"
            events.say(f"train.compile: {said} ten minutes or more without it")
    return sweep
