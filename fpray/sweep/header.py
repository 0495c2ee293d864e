"""The first line of a sweep, within a second: which one it is, where its folder is, and how much of it is done."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from upath import UPath

from fpray import __version__
from fpray.records import known_storages
from fpray.redaction import hidden
from fpray.storage import DEFAULT_STORAGE, from_home, is_local


def header(content: Mapping[str, Any]) -> str:
    """The line, from a sweep file's content that nobody has checked yet.

    Where the storage is not on this machine, what is done there is told later.
    """
    name, storage = str(content.get("name")), str(content.get("storage") or DEFAULT_STORAGE)
    place = hidden(f"fpray {__version__}: sweep {name} in {storage}/{name}")
    return f"{place}{_how_far(name, storage)}; Ctrl-C is safe: the same command goes on"


def _how_far(name: str, storage: str) -> str:
    try:
        folder = UPath(from_home(storage)) / name
        if not is_local(folder):
            return ""
        ended, begun = _count(Path(folder.path))
    except (OSError, ValueError):  # said in a sentence when the file is checked
        return ""
    if begun:
        return f", {ended} trials done"
    return f", which is new{_elsewhere(name, Path(folder.path).absolute())}"


def _count(folder: Path) -> tuple[int, int]:
    """How many trials in a sweep's folder have ended, and how many have begun."""
    statuses = [json.loads(file.read_bytes()).get("status") for file in folder.glob("trials/*/record.json")]
    return sum(status != "running" for status in statuses), len(statuses)


def _elsewhere(name: str, folder: Path) -> str:
    """Where another sweep of this name lies, if one is known: the command may stand in another folder than before."""
    others = [UPath(storage) / name for storage in known_storages()]
    for other in others:
        if is_local(other) and Path(other.path) != folder and Path(other.path, "sweep.yaml").is_file():
            return f" (another of that name is in '{other.path}')"
    return ""
