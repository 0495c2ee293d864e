"""Evaluating finished trials on other data: recorded beside their results, in `evaluations/NAME`, never among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from fpray.config import Sweep, dump_sweep
from fpray.data import fingerprints_of_draws, open_dataset, quick_check
from fpray.errors import UserError, did_you_mean
from fpray.records import Hold, LostHoldError, Record, SweepFolder, classes_of, held, pruned_digest
from fpray.redaction import hidden
from fpray.search import Schedule
from fpray.storage import write_whole
from fpray.sweep.events import events
from fpray.sweep.interrupt import Interrupt
from fpray.sweep.leaving import Leaving
from fpray.sweep.points import Evaluations
from fpray.sweep.settling import require_same_data
from fpray.sweep.words import why_it_failed
from fpray.training import evaluate_point


def evaluate_sweep(
    folder: SweepFolder, sweep: Sweep, other: Sweep, *, trials: Sequence[str] = (), address: str | None = None
) -> int:
    """Evaluate a sweep's finished trials on the test images of another sweep file's data.

    Args:
        folder, sweep: the sweep's; its methods, models and resources count.
        other: whose `data` are evaluated on, and whose name the evaluation has.
        trials: the ids of those to evaluate; all that have finished by default.
        address: of a Ray cluster; None for a Ray of its own on this machine.

    Returns:
        The exit code: 0, 1 if some failed, 128 and a signal's number if it was interrupted.

    Raises:
        UserError: for a mistake that the user can mend.
    """
    finished = _finished(folder, sweep, trials)
    _require_same_classes(folder, sweep, other, finished)
    data = other.data.model_copy(update={"seeds": sweep.data.seeds})  # a trial of a draw sees that draw of this data
    place = folder.evaluation(other.name)
    with events.doing("checking the data"):
        for line in quick_check(open_dataset(data), 1):
            events.say(f"note: {line}")
    try:
        with held(place.path, events.say) as hold:
            evaluated = place.records.read_all()
            require_same_data(fingerprints_of_draws(data), place, evaluated)
            write_whole(place.sweep_file, dump_sweep(other).encode())
            settings = sweep.model_copy(update={"data": data})
            left = Evaluations(settings, [record.trial.point(1.0) for record in finished], evaluated)
            return _Evaluation(left, folder, place, hold, address).to_the_end()
    except LostHoldError as error:
        raise UserError(str(error)) from None


@dataclass
class _Evaluation:
    """What is left to evaluate, in a folder that this command holds."""

    left: Evaluations
    folder: SweepFolder
    place: SweepFolder
    hold: Hold
    address: str | None

    def to_the_end(self) -> int:
        """Evaluate, and show what came out; returns the exit code."""
        self.place.stop.withdraw()
        with Interrupt(self.place.stop.make) as interrupt:
            if not self.left.complete:
                self._evaluate(interrupt)
        self.place.stop.withdraw()
        if not self.left.complete:
            done = sum(record.has_ended for record in self.left.wanted())
            events.say(f"interrupted: {done} of {self.left.planned} are done; the same command goes on from here")
            return interrupt.exit_code
        failed = [record for record in self.left.wanted() if record.status == "failed"]
        for record in failed:
            events.say(f"failed: {record.trial.sources[0]}: {why_it_failed(record)}")
        events.say(f"records: {hidden(str(self.place.path))}")
        return 1 if failed else 0

    def _evaluate(self, interrupt: Interrupt) -> None:
        from fpray.execution import Cluster, execute  # late: Ray takes seconds

        leaving = Leaving(self.hold.give_back)

        def may_go_on() -> bool:
            self.hold.check()
            return interrupt.signal is None

        with (
            leaving.connected(self.address, interrupt.listen),
            Cluster(self.left.sweep, own=self.address is None) as cluster,
        ):
            events.say(f"evaluating {self.left.planned} trials")
            execute(
                self.left,
                self.place,
                room=cluster.room,
                on_change=lambda record: events.say(self._sentence(record)),
                may_go_on=may_go_on,
                settle=leaving.settle,
                work=partial(evaluate_point, trials=self.folder.records),
            )

    def _sentence(self, record: Record) -> str:
        done, planned = sum(r.has_ended for r in self.left.wanted()), self.left.planned
        said = f"[{done:>{len(str(planned))}}/{planned}] {record.trial.sources[0]}"
        if record.status != "finished":
            return f"{said} {'failed' if record.has_ended else 'is tried again'}: {why_it_failed(record)}"
        return f"{said}  " + "  ".join(f"{split} {count.top1:.1f}" for split, count in record.results.items())


def _finished(folder: SweepFolder, sweep: Sweep, trials: Sequence[str]) -> list[Record]:
    """The finished trials to evaluate, in the order of their ids."""
    wanted = Schedule(sweep, folder.records.read_all()).wanted()
    every = {record.trial.id: record for record in wanted if record.status == "finished"}
    known = {trial: record for trial, record in every.items() if pruned_digest(folder.records, trial) is None}
    if len(known) < len(every) and not trials:
        events.say(
            f"note: the weights of {len(every) - len(known)} trials were removed (keep: front); they are left out"
        )
    for trial in trials:
        if trial not in known:
            raise UserError(f"no trial '{trial}' has finished; {did_you_mean(trial, known) if known else 'none has'}")
    if not known:
        raise UserError(f"'{hidden(str(folder.path))}' has no trial that has finished")
    return [known[trial] for trial in sorted(trials or known)]


def _require_same_classes(folder: SweepFolder, sweep: Sweep, other: Sweep, finished: Sequence[Record]) -> None:
    """Require that the other data has the classes that the trials' heads tell apart, in the same order."""
    own = classes_of(folder.records, finished[0].trial.id) or list(open_dataset(sweep.data).classes)
    there = list(open_dataset(other.data).classes)
    for label, (name, found) in enumerate(zip(own, there, strict=False)):
        if name != found:
            raise UserError(
                f"data: class {label} is '{found}', and the trials' is '{name}'; name the same ones in data.classes"
            )
    if len(own) != len(there):
        raise UserError(f"data: {len(there):,} classes, the trials have {len(own):,}; name the same in data.classes")
