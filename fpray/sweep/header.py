"""The first line of a sweep, within a second: which one it is, where its folder is, and how much of it is done."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from upath import UPath

from fpray import __version__
from fpray.records import SweepFolder, known_storages
from fpray.redaction import hidden
from fpray.storage import DEFAULT_STORAGE, from_home, is_local


def header(content: Mapping[str, Any]) -> str:
    """The line, from a sweep file's content that nobody has checked yet.

    Where the storage is not on this machine, what is done there is told later.
    """
    name, storage = _name_and_storage(content)
    place = hidden(f"fpray {__version__}: sweep {name} in {storage}/{name}")
    return f"{place}{_how_far(name, storage)}; Ctrl-C is safe: the same command goes on"


def has_ended(content: Mapping[str, Any]) -> bool:
    """Whether all trials that the sweep had when it ran last have ended, as far as this machine's disk knows."""
    try:
        folder = _folder(*_name_and_storage(content))
        if folder is None:
            return False
        planned = json.loads(SweepFolder(UPath(folder)).plan_file.read_bytes())
        return _count(folder)[0] >= int(sum(planned.values()))
    except (OSError, ValueError, AttributeError, TypeError):  # it is new, or what is wrong is said later
        return False


def _name_and_storage(content: Mapping[str, Any]) -> tuple[str, str]:
    return str(content.get("name")), str(content.get("storage") or DEFAULT_STORAGE)


def _folder(name: str, storage: str) -> Path | None:
    """A sweep's folder, if it is on this machine."""
    folder = UPath(from_home(storage)) / name
    return Path(folder.path).absolute() if is_local(folder) else None


def _how_far(name: str, storage: str) -> str:
    try:
        folder = _folder(name, storage)
        if folder is None:
            return ""
        ended, begun = _count(folder)
    except (OSError, ValueError):  # said in a sentence when the file is checked
        return ""
    if begun:
        return f", {ended} trials done"
    return f", which is new{_elsewhere(name, folder)}"


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
