"""A process that holds sweeps and begins attempts as a command does, and writes as an attempt, when it is asked to.

    python -m tests.faults.holder STORAGE STALE SETTLE

Each line that it reads is a question, each that it writes an answer: `yes`, or `no:` and why; and, while it takes a
sweep, that it waits.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator

from fpray.errors import UserError
from fpray.model import Model
from fpray.records import AttemptStore, Record, SupersededError, SweepFolder, Trial, lock
from fpray.storage import open_storage
from tests.waiting import PATIENCE_SECONDS


class Holder:
    """Such a process, seen from a test."""

    def __init__(self, storage: str, stale: float = lock.STALE, settle: float = 0.1) -> None:
        """
        Args:
            stale: seconds, see `lock.STALE`.
            settle: seconds, see `lock.SETTLE`; few are enough where no other process takes a sweep at the same time.
        """
        call = [sys.executable, "-m", __name__, storage, str(stale), str(settle)]
        self.process = subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self.process.pid

    def ask(self, question: str) -> None:
        """Ask `hold SWEEP`, `check`, `end`, or `until ANSWER`: to check until the answer begins so.

        Also `begin SWEEP`, an attempt at that sweep's trial `full-000`, and `write ERROR` into its record.
        """
        assert self.process.stdin is not None
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()

    def line(self) -> str:
        """The next line that it writes."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def answer(self, question: str = "") -> str:
        """The answer to a question, or to the last one; that it waits is left out."""
        if question:
            self.ask(question)
        while (line := self.line()).endswith("for a sign of life"):
            pass
        return line

    def is_alive(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def ready(*holders: Holder) -> Iterator[None]:
    """Processes that have started, and are killed in the end."""
    try:
        assert [holder.line() for holder in holders] == ["ready"] * len(holders)
        yield
    finally:
        for holder in holders:
            holder.kill()


class _Holds:
    """The sweeps that this process holds, and the attempt that it has begun."""

    def __init__(self, storage: str) -> None:
        self._storage, self._held = open_storage(storage), contextlib.ExitStack()
        self._last = lock.Hold()
        trial = Trial(id="full-000", method="full", number=0, seed=0, params={}, model=Model(name="any"))
        self._begun = Record(trial=trial, started=0.0)
        self._attempt = AttemptStore(self._storage, self._begun)

    def answer(self, question: str, what: str) -> str:
        try:
            if question == "hold":
                self._last = self._held.enter_context(lock.held(self._storage / what, say))
            elif question == "end":
                self._held.close()
            elif question == "begin":
                folder = SweepFolder(self._storage / what)
                self._begun = folder.records.claim(self._begun, self._last.check)
                self._attempt = folder.attempt(self._begun)
            elif question == "write":
                self._attempt.write(self._begun.with_error(what))
            else:
                self._last.check()
        except SupersededError:
            return "no: superseded"
        except (UserError, lock.LostHoldError) as error:
            return f"no: {error}"
        return "yes"


def say(line: str) -> None:
    print(line, flush=True)


def main(storage: str, stale: str, settle: str) -> None:
    lock.BEAT, lock.STALE, lock.SETTLE = 0.2, float(stale), float(settle)
    holds = _Holds(storage)
    say("ready")
    for line in sys.stdin:
        question, _, what = line.strip().partition(" ")
        answer, deadline = holds.answer(question, what), time.monotonic() + PATIENCE_SECONDS
        while question == "until" and not answer.startswith(what) and time.monotonic() < deadline:
            time.sleep(0.02)
            answer = holds.answer(question, what)
        say(answer)


if __name__ == "__main__":
    main(*sys.argv[1:])
