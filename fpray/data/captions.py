"""Tables of images and captions, as open_clip's training reads them (`--csv-img-key`, `--csv-caption-key`)."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np

from fpray.errors import UserError, message_of

PATH, CAPTION = "filepath", "title"
"""open_clip's default names of the columns."""


class Texts(Sequence[str]):
    """Texts in two arrays: as millions of objects, their reference counts would be copied into every loader process."""

    def __init__(self, texts: Sequence[str]) -> None:
        encoded = [text.encode() for text in texts]
        self._bytes = np.frombuffer(b"".join(encoded), dtype=np.uint8)
        self._ends = np.cumsum([0, *map(len, encoded)])

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[own] for own in range(*index.indices(len(self)))]
        return self._bytes[self._ends[index] : self._ends[index + 1]].tobytes().decode()


def read_table(file: Path, key: str) -> tuple[list[str], Texts]:
    """The path and the caption of each image in a table, whose columns are parted by tabs, as in open_clip's default,
    or by commas.

    Args:
        key: the sweep file's key that messages start with.

    Raises:
        UserError: if the table is missing, damaged or empty, or has not these columns in every row.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:
            rows = list(_rows(opened, f"{key}: '{file}'"))
    except FileNotFoundError:
        raise UserError(f"{key}: there is no such file; looked for '{file}'") from None
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"{key}: can't read '{file}': {message_of(error)}; mend it") from None
    if not rows:
        raise UserError(f"{key}: '{file}' has no rows; give images and captions")
    return [path for path, _ in rows], Texts([caption for _, caption in rows])


def _rows(lines: Iterator[str], what: str) -> Iterator[tuple[str, str]]:
    header = next(lines, "")
    separator = "\t" if "\t" in header else ","
    columns = next(csv.reader([header], delimiter=separator), [])
    for name in (PATH, CAPTION):
        if name not in columns:
            raise UserError(f"{what} has no column '{name}' in its first line; name the columns {PATH} and {CAPTION}")
    reader = csv.reader(lines, delimiter=separator)
    places = [columns.index(name) for name in (PATH, CAPTION)]
    for row in reader:
        values = [row[place].strip() if place < len(row) else "" for place in places]
        if not all(values):
            missing = PATH if not values[0] else CAPTION
            raise UserError(f"{what} has no {missing} in line {reader.line_num + 1}; write one, or leave the line out")
        yield values[0], values[1]
