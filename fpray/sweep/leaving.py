"""Ending the command at once when Ray is lost: its main thread may hang in Ray for ever."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from fpray.execution import RayWatch

EXIT_CODE = 75
"""`EX_TEMPFAIL` of sysexits.h: there is nothing to mend, the same command goes on."""
STEP_SECONDS = 3.0
"""How long each thing may take that is still to do."""


def _nothing() -> None:
    """There is nothing to do yet."""


@dataclass
class Leaving:
    """What there is to do before the command ends, whatever hangs."""

    give_back: Callable[[], None]
    """Gives back the hold on the sweep's folder."""
    stop_progress: Callable[[], None] = _nothing
    leave_tracker: Callable[[], None] = _nothing
    _watch: RayWatch = field(init=False)

    @contextmanager
    def connected(self, address: str | None, then: Callable[[], None] = _nothing) -> Iterator[None]:
        """Ray, joined or started, after which `then` is called; the command ends if Ray is lost meanwhile."""
        from fpray.execution import RayWatch, connect  # late: Ray takes seconds

        with RayWatch(address, self.leave) as self._watch:
            connect(address)
            then()
            yield

    def settle(self) -> None:
        """Wait while Ray is in doubt: what goes wrong then is no trial's fault."""
        self._watch.settle()

    def leave(self, sentence: str) -> NoReturn:
        """End the command, with a sentence."""
        _do(self.stop_progress)
        with suppress(OSError):  # nobody reads it any more
            print(f"fpray: {sentence}", file=sys.stderr, flush=True)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):  # what other threads and Ray have to say about it would only bury the sentence
            os.dup2(nowhere, stream)
        _do(self.leave_tracker)
        _do(self.give_back)
        os._exit(EXIT_CODE)


def _do(step: Callable[[], None]) -> None:
    """Do something, and don't wait for longer than `STEP_SECONDS`."""
    doing = threading.Thread(target=step, daemon=True)
    doing.start()
    doing.join(STEP_SECONDS)
