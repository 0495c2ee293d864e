"""The storages that sweeps were run in before, newest first: so that a sweep is found by its name alone."""

from __future__ import annotations

import contextlib
import json

from upath import UPath

from fpray.storage import read_if_there, state_folder, write_whole

MOST = 100
"""Storages that are kept in mind."""


def known_storages() -> list[str]:
    """The addresses of the storages used before, the newest first."""
    with contextlib.suppress(OSError, ValueError):
        listed = json.loads(read_if_there(_file()) or b"[]")
        if isinstance(listed, list):
            return [address for address in listed if isinstance(address, str)]
    return []


def remember(storage: UPath) -> None:
    """Keep a storage in mind; where that can't be written, it is forgotten."""
    address = str(storage)
    listed = [address, *(known for known in known_storages() if known != address)]
    with contextlib.suppress(OSError):
        write_whole(_file(), json.dumps(listed[:MOST], indent=1).encode())


def _file() -> UPath:
    return UPath(state_folder() / "storages.json")
