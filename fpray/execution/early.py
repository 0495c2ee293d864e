"""Ray starts beside the imports and checks of the command, which take as long."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress

PATIENCE_SECONDS = 30.0
"""How long a command that has met a mistake waits for Ray, to end it."""
begun: list[Future[None]] = []
"""The start that has begun, if one has."""


@contextmanager
def started_early() -> Iterator[None]:
    """Let Ray start on this machine beside what the command does until it wants to `connect`; it ends in the end."""
    outcome, over = Future[None](), threading.Event()

    def start_and_end() -> None:
        try:
            import ray  # late: it takes seconds

            from fpray.execution.own import start_ray_here

            is_ours = not ray.is_initialized()
            if is_ours:
                start_ray_here()
        except BaseException as error:
            outcome.set_exception(error)
            return
        outcome.set_result(None)
        over.wait()  # Ray's processes end when the thread does that has started them, by the system's own signal
        if is_ours:
            ray.shutdown()

    thread = threading.Thread(target=start_and_end, name="starting Ray", daemon=True)
    begun.append(outcome)
    thread.start()
    try:
        yield
    finally:
        with suppress(TimeoutError):  # a process that ends meanwhile would leave parts of Ray behind
            outcome.exception(PATIENCE_SECONDS)
        over.set()
        thread.join(PATIENCE_SECONDS)
        begun.remove(outcome)
