"""The request that a sweep's trials stop, which they see on whatever node they run."""

from __future__ import annotations

from upath import UPath

from fpray.storage import read_if_there, remove, write_whole


class StopRequest:
    """A file in the sweep's folder: while it is there, trials end the epoch they are in and stop."""

    def __init__(self, folder: UPath) -> None:
        self._path = folder / "stop"

    def make(self) -> None:
        write_whole(self._path, b"")

    def withdraw(self) -> None:
        remove(self._path)

    def is_made(self) -> bool:
        return read_if_there(self._path) is not None
