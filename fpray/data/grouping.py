"""Groups of images that belong together, such as a sequence, a patient or a camera: they are set aside together.

Images of one burst are nearly the same: if some are trained on and others tested, the test is of memory.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from fpray.errors import UserError, message_of
from fpray.storage import from_home

FILE = ".csv"


def _pattern_or_file(written: str) -> str:
    if written.lower().endswith(FILE):
        return str(Path(from_home(written)).absolute())
    try:
        re.compile(written)
    except re.error as error:
        raise ValueError(f"'{written}' is no regular expression ({error}), and no {FILE} file") from None
    return written


Groups = Annotated[str, AfterValidator(_pattern_or_file)]
"""A regular expression, or the path of a file."""


def group_of(groups: str) -> Callable[[str], str]:
    """A function that gives the group of an image, by its path relative to the dataset's root.

    Args:
        groups: a regular expression, of which the parts in brackets, or all of it, name the group; or a file of lines
            `path,group`.

    Raises:
        UserError: if the file can't be read; the function, for an image of which it says nothing.
    """
    if not groups.lower().endswith(FILE):
        return lambda path: _matched(groups, path)
    listed = _listed(Path(groups))

    def of_file(path: str) -> str:
        if path not in listed:
            raise UserError(f"data.groups: '{groups}' has no line for '{path}'; add it")
        return listed[path]

    return of_file


def _matched(pattern: str, path: str) -> str:
    found = re.search(pattern, path)
    if found is None:
        raise UserError(f"data.groups: '{pattern}' is nowhere in '{path}'; write one that is in every image's path")
    return "/".join(part for part in found.groups() if part is not None) or found[0]


def _listed(file: Path) -> dict[str, str]:
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            rows = [row for row in csv.reader(lines) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"data.groups: can't read '{file}': {message_of(error)}") from None
    for number, row in enumerate(rows, start=1):
        if len(row) != 2:
            raise UserError(f"data.groups: line {number} of '{file}' is no 'path,group'")
    return {row[0]: row[1] for row in rows}
