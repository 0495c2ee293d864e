"""Images that a CSV file lists, with the columns `path`, `part`, `domain` and `class`:

    path,part,domain,class
    photos/0001.jpg,train,photo,dog

A path is relative to the file. In a sweep file: `data: {layout: csv, file: images.csv, id: photo}`.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import cast, get_args

from fpray.data import DataOptions, Dataset, ImageFiles, Split
from fpray.data.base import Part
from fpray.errors import UserError

COLUMNS = {"path", "part", "domain", "class"}


class CsvOptions(DataOptions):
    """Where the list is, and which of its domains is in-distribution."""

    layout: str = "csv"
    file: str
    id: str
    templates: tuple[str, ...] = ("a photo of a {}.",)


class CsvLayout(Dataset):
    """A list of images, read once, when they are asked for."""

    name = "csv"
    Options = CsvOptions
    options: CsvOptions

    def __init__(self, options: CsvOptions) -> None:
        super().__init__(options)
        self._file = Path(options.file).absolute()

    @property
    def classes(self) -> Sequence[str]:
        return sorted({line["class"] for line in self._lines})

    @property
    def templates(self) -> Sequence[str]:
        return self.options.templates

    def splits(self) -> Sequence[Split]:
        ood = sorted({line["domain"] for line in self._lines} - {self.options.id})
        return (
            *(Split("id", self.options.id, part) for part in get_args(Part)),
            *(Split("ood", domain, part) for domain in ood for part in ("val", "test")),
        )

    def images(self, split: Split) -> ImageFiles:
        return self._images[split]

    @cached_property
    def _lines(self) -> list[dict[str, str]]:
        try:
            with self._file.open(newline="", encoding="utf-8") as file:
                lines = list(csv.DictReader(file))
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"data.file: can't read '{self._file}': {error}") from None
        for number, line in enumerate(lines, start=2):
            if not all(line.get(column) for column in COLUMNS) or line["part"] not in get_args(Part):
                raise UserError(
                    f"data.file: line {number} of '{self._file}' needs a path, a domain, a class, and a part that is "
                    "train, val or test"
                )
        return lines

    @cached_property
    def _images(self) -> dict[Split, ImageFiles]:
        labels = {name: label for label, name in enumerate(self.classes)}
        listed: dict[Split, list[tuple[str, int]]] = defaultdict(list)
        for line in self._lines:
            role = "id" if line["domain"] == self.options.id else "ood"
            split = Split(role, line["domain"], cast(Part, line["part"]))
            listed[split].append((line["path"], labels[line["class"]]))
        for split in self.splits():
            if split not in listed:
                raise UserError(f"data.file: '{self._file}' lists no images of {split.name}; add some, or mend data.id")
        return {split: ImageFiles(self._file.parent, *zip(*images, strict=True)) for split, images in listed.items()}
