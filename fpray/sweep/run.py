"""Running a sweep: what is left of it, from its file to its report."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from fpray.config import Sweep, dump_sweep
from fpray.console import first_of
from fpray.errors import UserError
from fpray.records import Hold, LostHoldError, Record, SweepFolder, held, remember
from fpray.redaction import hidden
from fpray.report import content_of, known_outcomes, make_report, remarks_on, table, write_report
from fpray.search import Schedule
from fpray.storage import StorageError, is_local, open_storage
from fpray.sweep.beginning import Begun, begin
from fpray.sweep.deadline import EXIT_CODE as OVER
from fpray.sweep.deadline import Deadline
from fpray.sweep.events import events
from fpray.sweep.interim import InterimPage
from fpray.sweep.interrupt import Interrupt, Looks
from fpray.sweep.leaving import Leaving
from fpray.sweep.plan import devices_line, idle_line
from fpray.sweep.points import Points, points_of
from fpray.sweep.progress import Progress
from fpray.sweep.pruning import prune_weights
from fpray.sweep.watch import Watch
from fpray.sweep.words import point_sentence, where_it_stands, why_it_failed
from fpray.tracking import NoTracker, Tracker, open_tracker
from fpray.training import Work, evaluate_point, run_trial

if TYPE_CHECKING:
    from fpray.execution import Cluster


def run_sweep(
    sweep: Sweep,
    *,
    address: str | None = None,
    retry_failed: bool = False,
    hours: float | None = None,
    work: Work = run_trial,
) -> int:
    """Run the trials of a sweep that are left, and report on all.

    Args:
        address: of a Ray cluster; None for a Ray of its own on this machine.
        retry_failed: whether trials that failed are left to do, too.
        hours: after which the command is to have ended; None for as long as it takes.
        work: runs a trial.

    Returns:
        The exit code: 0, 1 if trials failed, 128 and a signal's number if it was interrupted, 3 if its hours are over.
        Where Ray is lost the process ends with another, see `Leaving`.

    Raises:
        UserError: for a mistake that the user can mend.
    """
    storage = open_storage(sweep.storage)
    if sweep.tracking is not None and sweep.tracking.uri is None and not is_local(storage):
        raise UserError("tracking.uri: name an MLflow server, since the storage is not on this machine")
    folder = SweepFolder(storage / sweep.name)
    try:
        with held(folder.path, events.say) as hold:
            leaving = Leaving(hold.give_back)
            begun = begin(sweep, folder, address=address, retry_failed=retry_failed, leaving=leaving)
            remember(storage)
            return _Run(begun, folder, hold, address, hours, work, leaving).to_the_end()
    except OSError as error:
        raise UserError(f"storage: {error}; mend that, and the same command goes on from here") from None
    except LostHoldError as error:
        raise UserError(str(error)) from None


@dataclass
class _Run:
    """A settled sweep in a folder that this command holds."""

    begun: Begun
    folder: SweepFolder
    hold: Hold
    address: str | None
    hours: float | None
    work: Work
    leaving: Leaving

    @property
    def schedule(self) -> Schedule:
        return self.begun.schedule

    @property
    def sweep(self) -> Sweep:
        return self.schedule.sweep

    def to_the_end(self) -> int:
        """Run the trials that have not ended; derive the report, and MLflow's runs, from all the records.

        Returns:
            The exit code.
        """
        self.folder.stop.withdraw()  # of a command that was interrupted before this one
        deadline = Deadline(self.schedule, math.inf if self.hours is None else self.hours)
        points = self.begun.points
        with Interrupt(self._stop) as interrupt:
            if points is not None and points.complete:
                tracker = self._open_tracker()
            else:
                with self._cluster(interrupt) as cluster:
                    tracker = self._open_tracker()
                    may_go_on = self._may_go_on(cluster, interrupt)
                    if points is None:
                        self._run_trials(cluster, tracker, may_go_on, deadline)
                        points = points_of(self.schedule, self.folder, self.begun.retry_failed)
                    if points is not None:
                        self._evaluate(points, cluster, may_go_on, deadline)
        self.folder.stop.withdraw()
        if points is not None and points.complete:
            return self._conclude(tracker, points)
        tracker.leave()
        over = deadline.held_back and interrupt.signal is None
        why = f"no other trial ends within {self.hours:g} hours" if over else "interrupted"
        events.say(where_it_stands(self.schedule, points, why))
        return OVER if over else interrupt.exit_code

    def _stop(self) -> None:
        events.say("stopping: trials end the epoch they are in; again, and all ends at once")
        with contextlib.suppress(StorageError):  # then the trials that run now end before the command does
            self.folder.stop.make()

    def _open_tracker(self) -> Tracker | NoTracker:
        """Open MLflow, and tell it what there is."""
        tracker = open_tracker(self.sweep, self.folder.path, self.begun.identity, events.say)
        self.leaving.leave_tracker = tracker.leave
        for record in self.schedule.wanted():
            tracker.update(record)
        return tracker

    @contextlib.contextmanager
    def _cluster(self, interrupt: Interrupt) -> Iterator[Cluster]:
        """The cluster, joined or started, with room for every method's trials, on nodes with which nothing is wrong.

        Raises:
            UserError: if there is none, or it hasn't, or something is wrong with a node.
        """
        own = self.address is None
        doing = "starting Ray" if own else f"joining the Ray cluster at {hidden(str(self.address))}"
        with contextlib.ExitStack() as connection:
            with events.doing(doing):
                connection.enter_context(self.leaving.connected(self.address, interrupt.listen))
            with self._looked_at(own) as cluster:
                yield cluster

    @contextlib.contextmanager
    def _looked_at(self, own: bool) -> Iterator[Cluster]:
        """The cluster that was joined or started, its nodes checked where it isn't fpray's own."""
        from fpray.execution import Cluster, NodeChecks

        with (
            contextlib.nullcontext() if own else NodeChecks(self.sweep, self.folder) as checks,
            Cluster(self.sweep, own=own, checks=checks) as cluster,
        ):
            if checks is not None:
                with events.doing("looking at the cluster's nodes"):
                    checks.require(wait=True)
            yield cluster

    def _may_go_on(self, cluster: Cluster, interrupt: Interrupt) -> Callable[[], bool]:
        """Whether further trials may begin, asked each time that one may."""
        looks = Looks(self.folder.stop)

        def may_go_on() -> bool:
            self.hold.check()
            cluster.require_nodes()
            return interrupt.signal is None and not looks.stop_is_asked()

        return may_go_on

    def _run_trials(
        self, cluster: Cluster, tracker: Tracker | NoTracker, may_go_on: Callable[[], bool], deadline: Deadline
    ) -> None:
        """Run the trials that have not ended, and show how they go on."""
        from fpray.execution import execute

        events.say(devices_line(self.sweep, cluster.room()))
        if idle := idle_line(self.sweep, cluster.room()):
            events.say(f"note: {idle}")
        interim = InterimPage(self.schedule, self.folder, events.say)
        with Progress(self.schedule, events) as progress:
            self.leaving.stop_progress = progress.stop

            def on_change(record: Record) -> None:
                progress.show_change(record)
                tracker.update(record)
                for line in remarks_on(record, self.sweep):
                    events.say(f"note: {line}")
                if record.has_ended:
                    interim.trial_ended()

            with Watch(self.schedule, self.folder.records, tracker.update, progress.show_running, cluster.waiting):
                execute(
                    self.schedule,
                    self.folder,
                    room=cluster.room,
                    on_change=on_change,
                    may_go_on=may_go_on,
                    may_begin=deadline.fits,
                    settle=self.leaving.settle,
                    work=self.work,
                )

    def _evaluate(self, points: Points, cluster: Cluster, may_go_on: Callable[[], bool], deadline: Deadline) -> None:
        """Evaluate the points of curves that are on a front on the test images."""
        from fpray.execution import execute

        if points.complete:
            return
        events.say(f"evaluating the fronts of the trials' curves on test images: {points.planned} points")
        execute(
            points,
            self.folder.points,
            room=cluster.room,
            on_change=lambda record: events.say(point_sentence(record, points)),
            may_go_on=may_go_on,
            may_begin=deadline.fits,
            settle=self.leaving.settle,
            work=partial(evaluate_point, trials=self.folder.records),
        )

    def _conclude(self, tracker: Tracker | NoTracker, points: Points) -> int:
        """Report on the sweep, whose trials have all ended; returns the exit code."""
        records, of_points = self.schedule.wanted(), points.wanted()
        draws = known_outcomes(self.sweep, records, self.folder.records)
        report = make_report(self.sweep, records, of_points, draws)
        pruned = prune_weights(self.sweep, report, records, self.folder.records)
        content = content_of(self.sweep, report, records, draws, dump_sweep(self.sweep), store=self.folder.records)
        files = write_report(report, content, self.folder.report)
        events.console.print(table(report))
        if pruned:
            events.say(pruned)
        for line in unreadable_lines(records):
            events.say(f"warning: {line}")
        failed = [record for record in (*records, *of_points) if record.status == "failed"]
        for record in failed:
            events.say(f"failed: {record.trial.id}: {why_it_failed(record)}")
        if failed:
            events.say(
                "once you have changed what made them fail, the same command with --retry-failed tries them again"
            )
        events.say(f"records and report: {hidden(str(self.folder.path))}")
        problem = tracker.close(report, files, events.say)
        if problem is not None:
            events.say(f"warning: {problem}")
        elif tracker.pages is not None:
            for line in tracker.pages.lines():
                events.say(line)
        return 1 if failed else 0


def unreadable_lines(records: Sequence[Record]) -> list[str]:
    """The images that trials couldn't decode, a line for each split."""
    found: dict[str, dict[str, None]] = {}
    for record in records:
        for split, names in record.unreadable.items():
            found.setdefault(split, {}).update(dict.fromkeys(names))
    return [
        f"{split}: {len(names)} images can't be decoded: {first_of(list(names), 5)}" for split, names in found.items()
    ]
