"""The processes that this one has started, directly or by others in between; Linux alone tells."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from pathlib import Path
from typing import NamedTuple

PR_SET_CHILD_SUBREAPER = 36
"""Of `prctl`, see its manual page."""
KILL_SECONDS = 2.0
"""How long killed processes may take to end; one that waits for a device can't be waited for."""


class Process(NamedTuple):
    """A process as Linux shows it: its name has 15 characters at most."""

    pid: int
    parent: int
    name: str
    has_died: bool
    """Whether only its entry is left, which its parent has not read yet."""


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent dies; else they would be nobody's, and not be found."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, *map(ctypes.c_ulong, (1, 0, 0, 0)))


def children() -> list[Process]:
    """The processes that this one has started or adopted."""
    return [process for process in _all() if process.parent == os.getpid()]


def kill_descendants() -> None:
    """Kill all descendants, and wait until they are dead: those that are being started meanwhile, too."""
    deadline = time.monotonic() + KILL_SECONDS
    while (alive := _descendants()) and time.monotonic() < deadline:
        for process in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        time.sleep(0.02)


def _descendants() -> list[Process]:
    """Those that live."""
    everyone, found, parents = _all(), [], {os.getpid()}
    while born := [process for process in everyone if process.parent in parents]:
        found += born
        parents = {process.pid for process in born}
    return [process for process in found if not process.has_died]


def _all() -> list[Process]:
    processes = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended since
            pid, _, rest = stat.read_text().partition(" (")
            name, _, rest = rest.rpartition(") ")  # it may have parentheses and spaces of its own
            state, parent = rest.split()[:2]
            processes.append(Process(int(pid), int(parent), name, state in "ZX"))
    return processes
