"""The connection to Ray: joined where it runs, or started on this machine for the command alone."""

from __future__ import annotations

import logging
import socket

import ray

from fpray.errors import UserError
from fpray.execution import early
from fpray.execution.own import start_ray_here


def connect(address: str | None) -> None:
    """Join the Ray cluster at `address` (`HOST:PORT` or `auto`), or start Ray on this machine without one.

    Raises:
        UserError: if there is no cluster at the address, or Ray can't start here.
    """
    if address is None and early.begun:
        early.begun[0].result()
    if ray.is_initialized():
        return
    if address is None:
        start_ray_here()
        return
    try:
        if address.count(":") == 1:
            # Ray itself tries for minutes before it gives up.
            host, _, port = address.partition(":")
            socket.create_connection((host, int(port)), timeout=10).close()
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"can't reach a Ray cluster at '{address}': {reason}; start it (and set RAY_AUTH_MODE=token if it wants "
            "a token), or leave out --address"
        ) from None
