"""A Ray of the command's own, on this machine."""

from __future__ import annotations

import logging
import os

import ray

from fpray.errors import UserError
from fpray.execution.descendants import adopt_orphans
from fpray.execution.ray_internals import import_ahead, make_token, on_loopback

READIED = 4
"""The most processes that import what trials need while the command looks at the rest. Each takes 0.4 GB, and a trial
that finds none waits some seconds longer."""


class LostRayError(Exception):
    """Ray is lost; the message says how, in one sentence."""


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
        import_ahead("fpray.execution.actor", min(READIED, os.cpu_count() or 1))
        with on_loopback():
            # Not None: that would join whatever cluster was started on this machine, by anyone. Without the dashboard's
            # pages, which are nine processes more: this Ray lasts as long as the command, which shows what it does.
            ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # of no kind in particular where the raylet doesn't come up
        if "timed out" in str(error).lower():
            raise LostRayError("Ray didn't start in time on this machine") from None
        if not isinstance(error, OSError | ValueError | RuntimeError):
            raise
        raise UserError(f"can't start Ray on this machine: {str(error).splitlines()[0]}") from None
