"""The loss of Ray: without its GCS, or the raylet of this node, a sweep can't go on, and Ray itself may hang for ever.

Whatever else dies is not looked at. A raylet ends with either of its agents; without the dashboard or the log monitor
a sweep goes on; another node's raylet is that node's death, which Ray tells of.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType

import ray

from fpray.execution.descendants import children, kill_descendants
from fpray.execution.own import LostRayError
from fpray.execution.ray_internals import (
    answers,
    gcs_address,
    gcs_knows_this_node,
    raylet_address,
    servers_started_here,
)
from fpray.execution.tune_internals import asked_before_ray_speaks

LOOK_SECONDS = 0.5
ANSWER_SECONDS = 3.0
"""How long an answer may take."""
PATIENCE_SECONDS = 12.0
"""How long all answers may fail to come: a cluster may start its GCS anew, on a busy machine it takes long to answer.

With all that the command still has to do (see `fpray.sweep.leaving`) it is over within 30 s.
"""


class RayWatch(threading.Thread):
    """Watches Ray while it is entered, from before Ray starts.

    Errors that leave it, and those that Ray prints, are held back while Ray is in doubt: it may be lost.
    """

    def __init__(self, address: str | None, on_lost: Callable[[str], None]) -> None:
        """
        Args:
            address: of the cluster that is going to be joined; None where Ray is going to be started here.
            on_lost: called once, with a sentence, in any thread, when Ray is lost; it is to end the process. All of a
                Ray that was started here has been killed by then.
        """
        super().__init__(name="ray", daemon=True)
        self._on_lost = on_lost
        self._over = threading.Event()
        self._looking = threading.Lock()
        self._speaking = contextlib.ExitStack()
        self._starting: dict[int, str] = {}
        """The names of the servers of a Ray that is being started here, by their process ids."""
        self._joining = None if address is None else gcs_address(address)
        """The address of the GCS of a cluster that is being joined."""
        self._has_answered = False
        self._silent_since: float | None = None

    def __enter__(self) -> RayWatch:
        self._speaking.enter_context(asked_before_ray_speaks(self.settle))
        self._look()  # a cluster that never answers is a mistake in its address
        self.start()
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        self._over.set()
        self.join()
        self._speaking.close()
        if isinstance(error, LostRayError):
            self._lose(str(error))
        elif error is not None:
            self.settle()

    def run(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            self._look()

    def settle(self) -> None:
        """Return when Ray is well, at once if it is now. A trial's process that died with Ray has not failed."""
        while not self._look():
            time.sleep(LOOK_SECONDS)

    def _look(self) -> bool:
        """Whether Ray is well; that is in doubt while something doesn't answer. `on_lost` is called if it is lost."""
        with self._looking:
            dead = self._dead_here() if ray.is_initialized() else self._dead_at_start()
            if dead is not None:
                self._lose(f"Ray's {dead} on this machine has died")
            silent = self._silent() if ray.is_initialized() else self._silent_at_start()
            if silent is None:
                self._silent_since = None
                return True
            now = time.monotonic()
            # Not from the last answer on: this process itself may have been stopped for long.
            self._silent_since = self._silent_since or now
            if now - self._silent_since > PATIENCE_SECONDS:
                self._lose(f"Ray's {silent} doesn't answer any more")
            return False

    def _dead_at_start(self) -> str | None:
        """The server that has died of a Ray that is being started here."""
        here = {process.pid: process for process in children()}
        self._starting |= {pid: p.name for pid, p in here.items() if p.name in ("gcs_server", "raylet")}
        return next((name for pid, name in self._starting.items() if pid not in here or here[pid].has_died), None)

    def _dead_here(self) -> str | None:
        """The server on this machine that is known to be dead."""
        started = servers_started_here()
        if started:
            return next((name for name, process in started.items() if process.poll() is not None), None)
        return "raylet" if _refuses(raylet_address()) else None

    def _silent_at_start(self) -> str | None:
        """The server that doesn't answer any more of a cluster that is being joined."""
        if self._joining is None or answers(self._joining, ANSWER_SECONDS):
            self._has_answered = True
            return None
        return "GCS" if self._has_answered else None

    def _silent(self) -> str | None:
        """The server that doesn't answer."""
        known = gcs_knows_this_node(ANSWER_SECONDS)
        if known is False:  # so do trials' processes soon; the raylet itself may take a while to end
            self._lose("Ray's raylet on this machine has died")
        if known is None:
            return "GCS"
        return None if answers(raylet_address(), ANSWER_SECONDS) else "raylet on this machine"

    def _lose(self, sentence: str) -> None:
        if self._starting or (ray.is_initialized() and servers_started_here()):
            kill_descendants()
        self._on_lost(f"{sentence}; the same command goes on from the last checkpoints")


def _refuses(address: str) -> bool:
    """Whether nobody listens at an address; one that listens and doesn't answer may only be busy."""
    host, _, port = address.rpartition(":")
    with contextlib.suppress(TimeoutError):
        try:
            socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS).close()
        except ConnectionRefusedError:
            return True
    return False
