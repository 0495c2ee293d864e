"""Reading a sweep file for the folder that it is of, which keeps the defaults that it was started with."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from upath import UPath

from fpray.config import Sweep, parse, sweep_of, todays_defaults, upgraded, with_kept_defaults
from fpray.records import SweepFolder
from fpray.storage import from_home, read_if_there


def sweep_for_its_folder(content: dict[str, Any], path: Path) -> tuple[Sweep, list[str]]:
    """The sweep of a file that was given on the command line.

    Args:
        content: as `read_content` gives it.
        path: the file.

    Returns:
        The sweep, and a line for each default that its folder keeps from when it was started.

    Raises:
        UserError: for the first mistake in the file.
    """
    sweep = sweep_of(content, path)  # also loads plug-ins, which have defaults too
    then, old = _written(sweep)
    if not old:
        return sweep, []
    changed, lines = with_kept_defaults(content, old, then, todays_defaults())
    return (sweep_of(changed, path) if lines else sweep), lines


def folder_of(sweep: Sweep) -> SweepFolder:
    """The folder of a sweep, which may not be there.

    Raises:
        ValueError, ImportError: for an address that fsspec doesn't know.
    """
    return SweepFolder(UPath(from_home(sweep.storage)) / sweep.name)


def _written(sweep: Sweep) -> tuple[dict[str, Any], dict[str, Any]]:
    """The defaults and the resolved sweep in a sweep's folder; empty where it has no trials, or can't be read here.

    What is wrong with the folder is said in a sentence when it is opened.
    """
    with contextlib.suppress(Exception):  # each kind of store raises its own
        folder = folder_of(sweep)
        then = json.loads(read_if_there(folder.defaults_file) or b"{}")
        old = upgraded(dict(parse((read_if_there(folder.sweep_file) or b"{}").decode(), "")), "")
        if (folder.path / "trials").exists():
            return dict(then), old
    return {}, {}
