"""Waiting for what other processes and threads do."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil

PATIENCE_SECONDS = 600.0
"""Only what hangs takes so long, on a busy machine too."""


def wait_for(
    happened: Callable[[], object], going_on: Callable[[], object] = lambda: True, pause: float = 0.02
) -> bool:
    """Wait until something has happened, or until nothing is going on that could make it happen.

    Args:
        pause: seconds between two looks; more where a look starts a process.

    Returns:
        Whether it has happened.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        if not going_on():
            return bool(happened())  # it may have, right before the end
        assert time.monotonic() < deadline, "waited for too long"
        time.sleep(pause)
    return True


def is_alive(process: psutil.Process) -> bool:
    """Whether it runs, and does not just wait for a parent to ask how it ended: in a container there may be none."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
