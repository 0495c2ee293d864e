"""The images that a command names: files, and those in folders."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from fpray.data import SUFFIXES, decode
from fpray.errors import UserError


class ReadableImages:
    """Images one after another, decoded as a sweep decodes them; those that can't be read are named and left out."""

    def __init__(self, places: Sequence[Path]) -> None:
        """
        Raises:
            UserError: if something named isn't there, or there is no image.
        """
        self._files = [file for place in places for file in _files(place)]
        if not self._files:
            raise UserError(f"no images ({', '.join(SUFFIXES)}) in '{places[0]}'")
        self._given: deque[Path] = deque()
        self.unreadable: list[Path] = []

    def __iter__(self) -> Iterator[Image.Image]:
        for file in self._files:
            try:
                image = decode(file.read_bytes())
            except Exception as error:  # PIL raises nearly every kind, depending on where a file is damaged
                self.unreadable.append(file)
                why = "it is no image" if isinstance(error, UnidentifiedImageError) else error
                print(f"fpray: '{file}' can't be read: {why}", file=sys.stderr)
                continue
            self._given.append(file)
            yield image

    def labelled(self) -> Path:
        """The file of the next image whose label has come; labels come in the images' order."""
        return self._given.popleft()


def _files(place: Path) -> list[Path]:
    if place.is_dir():
        return sorted(file for file in place.rglob("*") if file.name.lower().endswith(SUFFIXES))
    if not place.exists():
        raise UserError(f"'{place}' is not there")
    return [place]
