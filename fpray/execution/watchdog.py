"""The watchdog: a process that gives no sign of life for a time is ended, and says where it stood."""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable

EXIT_CODE = 70
"""Of a process that was ended; `EX_SOFTWARE` of sysexits.h."""


class Watchdog:
    """Watches the thread that enters it."""

    def __init__(self, seconds: float, tell: Callable[[str], None]) -> None:
        """
        Args:
            seconds: how long the thread may take from one `beat` to the next.
            tell: called with the thread's stack before the process is ended.
        """
        self._seconds, self._tell = seconds, tell
        self._over = threading.Event()

    def beat(self) -> None:
        """Give a sign of life."""
        self._last = time.monotonic()

    def __enter__(self) -> Watchdog:
        self._watched = threading.get_ident()
        self.beat()
        self._arm()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        faulthandler.cancel_dump_traceback_later()

    def _watch(self) -> None:
        while not self._over.wait(min(5.0, self._seconds / 10)):
            if time.monotonic() - self._last > self._seconds:
                stack = "".join(traceback.format_stack(sys._current_frames()[self._watched]))
                self._tell(f"{stack}no sign of life for {self._seconds:g} seconds; it stood there")
                os._exit(EXIT_CODE)
            self._arm()

    def _arm(self) -> None:
        """For the case that no thread comes to run (an extension keeps Python's lock), or that `tell` hangs too."""
        faulthandler.dump_traceback_later(2 * self._seconds, exit=True)
