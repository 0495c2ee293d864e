"""The lock on a sweep's folder: one command at a time runs it, on one machine and over shared storage."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from upath import UPath

from fpray.conditional import ChangedError, Version, keeps_conditions, read_versioned, write_after_look, write_if
from fpray.errors import UserError
from fpray.redaction import hidden
from fpray.storage import is_local, read_if_there, write_whole

BEAT = 10.0
"""Seconds between two signs of life of a lease's holder."""
STALE = 60.0
"""Seconds without a sign of life after which a lease is free."""
SETTLE = 2.0
"""Seconds after which all commands that took a lease at the same moment have written that they did, where the store
keeps no conditions."""
_FREE = b'{"free": true}'
"""The lease of a command that has ended. It is not removed: a removal would take what another has written since."""

# Goes on while the machine sleeps, as the other machines' clocks do.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class LostHoldError(Exception):
    """Another command may run this sweep now; the message says so in one sentence."""


class Hold:
    """A held sweep. The operating system's lock can't be lost, and ends with its process: there is nothing to do."""

    def check(self) -> None:
        """See that the sweep is still held.

        Raises:
            LostHoldError: if it isn't, or if it can't be known.
        """

    def give_back(self) -> None:
        """Let others hold the sweep, right before the process ends."""


@contextlib.contextmanager
def held(folder: UPath, say: Callable[[str], None] = print) -> Iterator[Hold]:
    """Hold a sweep's folder against a second command on the same sweep.

    In a local folder the lock is the operating system's, so it is free again when its holder dies. Object storage
    has no such lock; there the holder gives signs of life, and is taken for dead without them.

    Args:
        say: told, in one line, why it takes a while.

    Raises:
        UserError: if another command holds it, with who it is.
        StorageError: if the storage can't be read or written.
    """
    with _locked(folder) if is_local(folder) else _leased(folder, say) as hold:
        yield hold


def holder(folder: UPath) -> str | None:
    """The command that holds a sweep's folder, in words; None if none does."""
    content = read_if_there(folder / "holder.json")
    return None if content is None or _is_free(content) else _who(content)


@contextlib.contextmanager
def _locked(folder: UPath) -> Iterator[Hold]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise UserError(f"'{folder}' is a file; give the sweep another name") from None
    lock, holder = FileLock((folder / "lock").path), folder / "holder.json"
    try:
        lock.acquire(blocking=False)
    except Timeout:
        with contextlib.suppress(OSError):  # the holder may not have written it yet
            raise _refusal(folder, holder.read_bytes()) from None
        raise _refusal(folder, b"") from None
    try:
        write_whole(holder, json.dumps(_self() | {"machine": _machine()}).encode())
        yield Hold()
        holder.unlink(missing_ok=True)
    finally:
        lock.release()


@contextlib.contextmanager
def _leased(folder: UPath, say: Callable[[str], None]) -> Iterator[Hold]:
    lease = Lease(folder)
    lease.take(say)
    try:
        yield lease
    finally:
        lease.give_back()


class Lease(Hold):
    """A hold by signs of life: `holder.json` names the holder, who writes it anew every `BEAT` seconds.

    Another command takes it over when the file stays as it is for `STALE` seconds of that command's own clock, so
    no clocks of different machines are compared. Each write is on the condition that the file is as this command has
    written or read it last, so of two that take it only one can, and a holder that was frozen finds out.
    """

    def __init__(self, folder: UPath) -> None:
        self._folder, self._file = folder, folder / "holder.json"
        self._me = _self() | {"token": uuid.uuid4().hex, "machine": _machine()}
        self._beat, self._last = 0, 0.0
        self._version, self._write = Version(None), write_if
        self._rival: bytes | None = None
        self._over, self._lost = threading.Event(), ""
        self._thread = threading.Thread(target=self._live, name="lease", daemon=True)

    def take(self, say: Callable[[str], None]) -> None:
        """Become the holder.

        Raises:
            UserError: if another command is it.
        """
        found = self._look()
        if found is not None and not _is_free(found):
            self._watch(found, say)
        if not self._give_sign():
            raise _refusal(self._folder, self._rival)
        if not keeps_conditions(self._file, self._sign()):
            # The last writer is the holder, and looks before each sign of life.
            self._write = write_after_look
            time.sleep(SETTLE)
            found = self._look()
            if not self._is_mine(found):
                raise _refusal(self._folder, found)
        self._thread.start()

    def check(self) -> None:
        if self._lost:
            raise LostHoldError(f"{self._lost} has taken over this sweep in '{hidden(str(self._folder))}'")
        if _now() - self._last > STALE:
            raise LostHoldError(
                f"this sweep's '{hidden(str(self._file))}' couldn't be renewed for {STALE:g} s, so "
                "that another command may have taken it over"
            )

    def give_back(self) -> None:
        """Stop being the holder. Where the storage is away, the lease runs out by itself."""
        self._over.set()
        self._thread.join(BEAT)
        with contextlib.suppress(OSError):
            self._put(_FREE)

    def _watch(self, found: bytes, say: Callable[[str], None]) -> None:
        """Wait until the holder is known to be dead.

        Raises:
            UserError: if it gives a sign of life.
        """
        say(f"{_who(found)} holds this sweep; waiting up to {STALE:g} s for a sign of life")
        began = _now()
        while _now() - began < STALE:
            time.sleep(BEAT / 5)
            now = self._look()
            if now is None or now == _FREE:
                return  # it ended
            if now != found:
                raise _refusal(self._folder, now)

    def _live(self) -> None:
        while not self._over.wait(BEAT):
            with contextlib.suppress(OSError):  # storage that is away for a moment; `check` tells if it stays so
                if not self._give_sign():
                    self._lost = _who(self._rival)
                    return

    def _give_sign(self) -> bool:
        """Write a sign of life; whether the lease is this command's."""
        began, self._beat = _now(), self._beat + 1
        if not self._put(self._sign()):
            return False
        self._last = began
        return True

    def _sign(self) -> bytes:
        return json.dumps(self._me | {"beat": self._beat}).encode()

    def _put(self, content: bytes) -> bool:
        """Write the lease's file; whether no other command has since it was read or written here."""
        while True:
            try:
                self._version = self._write(self._file, content, self._version)
                return True
            except ChangedError:
                found = read_versioned(self._file)
                if not self._is_mine(found.content):
                    self._rival = found.content
                    return False
                self._version = found  # by a write of this command, the answer to which was lost

    def _look(self) -> bytes | None:
        self._version = read_versioned(self._file)
        return self._version.content

    def _is_mine(self, content: bytes | None) -> bool:
        return bool(_parsed(content).get("token") == self._me["token"])


def _self() -> dict[str, Any]:
    return {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}


def _machine() -> str:
    """Identifies this start of this machine and its PID namespace: there process ids mean something.

    Host names may be shared.
    """
    boot, namespace = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    try:
        return f"{boot.read_text().strip()}/{namespace.stat().st_ino}"
    except OSError:
        return socket.gethostname()  # not Linux


def _is_free(content: bytes) -> bool:
    """Whether the holder has given the lease back, or ran on this machine and runs no more."""
    holder = _parsed(content)
    if content == _FREE:
        return True
    if holder.get("machine") != _machine() or not isinstance(holder.get("pid"), int):
        return False
    try:
        os.kill(holder["pid"], 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False  # another user's
    return False


def _refusal(folder: UPath, content: bytes | None) -> UserError:
    return UserError(f"{_who(content)} already runs this sweep in '{hidden(str(folder))}'; wait for it or end it")


def _who(content: bytes | None) -> str:
    try:
        found = _parsed(content)
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(found["since"]))
        return f"process {found['pid']} on {found['host']} (since {since})"
    except (TypeError, ValueError, KeyError, OverflowError, OSError):
        return "another process"


def _parsed(content: bytes | None) -> dict[str, Any]:
    """The content of `holder.json`; empty if it is damaged or gone."""
    try:
        found = json.loads(content or b"")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _now() -> float:
    return time.clock_gettime(_CLOCK)
