"""Interrupting a sweep: asked once, its trials stop after the epoch they are in; asked twice, all ends at once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from fpray.records import StopRequest

SIGNALS = (signal.SIGINT, signal.SIGTERM)
LOOK_EVERY = 10.0
"""Seconds between two looks for another command's request to stop, each of which may be a request that costs."""


class Interrupt:
    """Takes Ctrl-C (SIGINT) and SIGTERM while trials run.

    A handler that raises, Python's own for Ctrl-C, may do so in the midst of Ray's start, which ends in a
    segmentation fault.
    """

    def __init__(self, on_first: Callable[[], None]) -> None:
        """
        Args:
            on_first: called in a thread of its own when the first signal has come.
        """
        self._on_first = on_first
        self.signal: int | None = None
        """The signal that has come."""

    def __enter__(self) -> Interrupt:
        self._before = {number: signal.getsignal(number) for number in SIGNALS}
        self.listen()
        return self

    def listen(self) -> None:
        """Take the signals; once more when Ray has started, which takes SIGTERM for itself."""
        for number in SIGNALS:
            signal.signal(number, self._handle)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def exit_code(self) -> int:
        """The command's, as shells give it for a command that a signal has ended."""
        return 128 + (self.signal or signal.SIGINT)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            os.write(2, b"\nended at once; the same command goes on from the last checkpoints\n")
            os._exit(128 + number)
        self.signal = number
        threading.Thread(target=self._on_first, name="interrupt", daemon=True).start()


class Looks:
    """Looks for a request to stop that another command has made (`fpray stop`), now and then.

    Trials look themselves after each epoch; this is for a sweep of which none runs.
    """

    def __init__(self, request: StopRequest) -> None:
        self._request, self._asked, self._next = request, False, 0.0

    def stop_is_asked(self) -> bool:
        """Whether it was made, as far as was seen lately."""
        if not self._asked and time.monotonic() >= self._next:
            with suppress(OSError):  # storage that is away for a moment: the next look will tell
                self._asked = self._request.is_made()
            self._next = time.monotonic() + LOOK_EVERY
        return self._asked
