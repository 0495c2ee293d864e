"""A Ray of the command's own, on this machine."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable

import ray

from fpray.errors import UserError
from fpray.execution.descendants import adopt_orphans
from fpray.execution.ray_internals import import_ahead, make_token, not_ready_yet, on_loopback

READIED = 4
"""The most processes that import what trials need while the command looks at the rest. Each takes 0.4 GB, and a trial
that finds none waits some seconds longer."""
PATIENCE_SECONDS = 60.0
"""How long trials wait for them at most."""


class LostRayError(Exception):
    """Ray is lost; the message says how, in one sentence."""


def wait_until_readied(goes_on: Callable[[], bool]) -> None:
    """Return when the processes that Ray has started ahead are ready, or the command doesn't go on.

    For a trial that is begun before, Ray starts one more process, which imports the same beside those.
    """
    end = time.monotonic() + PATIENCE_SECONDS
    while not_ready_yet() > 0 and time.monotonic() < end and goes_on():
        time.sleep(0.1)


def start_ray_here() -> None:
    """Start Ray for this command alone: it listens on loopback, and wants a token unless RAY_AUTH_MODE says otherwise.

    Raises:
        UserError: if it can't start.
        LostRayError: if it doesn't in time.
    """
    adopt_orphans()  # trials' processes don't end with their raylet
    try:
        if os.environ.setdefault("RAY_AUTH_MODE", "token") == "token":
            make_token()
        with on_loopback(), import_ahead("fpray.execution.readied", min(READIED, os.cpu_count() or 1)):
            # Not None: that would join whatever cluster was started on this machine, by anyone. Without the dashboard's
            # pages, which are nine processes more: this Ray lasts as long as the command, which shows what it does.
            ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # of no kind in particular where the raylet doesn't come up
        if "timed out" in str(error).lower():
            raise LostRayError("Ray didn't start in time on this machine") from None
        if not isinstance(error, OSError | ValueError | RuntimeError):
            raise
        raise UserError(f"can't start Ray on this machine: {str(error).splitlines()[0]}") from None
