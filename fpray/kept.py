"""Rows of numbers that are kept on a node's disk: whoever computes one first writes it, and all others read it.

No lock and no phase in which a file is built: processes that compute the same row write the same bytes. A row has a
checksum, so that one that is half written, torn by a power failure or garbage is computed again. Rows are read and
written by plain calls, not mapped into memory: a full disk or a file that is cut off is an error that is met here, and
kills no process.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

from fpray.storage import cache_folder

HEADER = 4096
"""The bytes before the first row: what the file is, as JSON."""
CHECKSUM = 8
_MARK = np.uint64(0x6670726179726F77)
"""Makes the checksum of a row of zeros, as a file has where nothing was written, another one than zero."""


@dataclass(frozen=True)
class About:
    """What a file of rows holds."""

    what: str
    """In words, for who looks."""
    source: str
    """A text that changes with all that decides the rows' values."""
    rows: int
    shape: tuple[int, ...]
    """Of a row."""
    dtype: str

    @cached_property
    def row_bytes(self) -> int:
        """The bytes of a row in the file: with its checksum, and a multiple of 8."""
        values = int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize
        return CHECKSUM + -(-values // 8) * 8

    @property
    def size(self) -> int:
        """The bytes of the whole file."""
        return HEADER + self.rows * self.row_bytes

    def header(self) -> bytes:
        source = hashlib.sha256(self.source.encode("utf-8", "surrogateescape")).hexdigest()
        about = {"what": self.what, "source": source, "rows": self.rows, "shape": self.shape, "dtype": self.dtype}
        return json.dumps(about).encode().ljust(HEADER)


class KeptRows:
    """A file of rows, each of which is there or not. What goes wrong with the file is as if it had none."""

    def __init__(self, file: Path, about: About) -> None:
        self._file, self._about = file, about
        self._open: int | None = None

    def __reduce__(self) -> tuple[type[KeptRows], tuple[Path, About]]:
        return KeptRows, (self._file, self._about)

    def __del__(self) -> None:
        if self._open is not None:
            os.close(self._open)

    def get(self, row: int) -> NDArray[np.generic] | None:
        """A row, of the file's shape and type, or None if it isn't there."""
        found = np.empty(self._about.row_bytes // 8, dtype=np.uint64)
        try:
            read = os.preadv(self._descriptor(), [found.data], self._place(row))
        except OSError:
            return None
        if read < found.nbytes or found[0] != _checksum(found[1:]):
            return None
        return self._values_of(found)

    def has(self, row: int) -> bool:
        """Whether something was written where a row is: a quick look, `get` looks closely."""
        try:
            return any(os.pread(self._descriptor(), CHECKSUM, self._place(row)))
        except OSError:
            return False

    def put(self, row: int, values: NDArray[np.generic]) -> None:
        """Write a row."""
        written = np.zeros(self._about.row_bytes // 8, dtype=np.uint64)
        self._values_of(written)[...] = values
        written[0] = _checksum(written[1:])
        with contextlib.suppress(OSError):  # as a full disk: then it is computed each time
            os.pwrite(self._descriptor(), written.data, self._place(row))

    def _descriptor(self) -> int:
        if self._open is None:
            self._open = os.open(self._file, os.O_RDWR | os.O_CLOEXEC)
        return self._open

    def _place(self, row: int) -> int:
        return HEADER + row * self._about.row_bytes

    def _values_of(self, words: NDArray[np.uint64]) -> NDArray[np.generic]:
        count = int(np.prod(self._about.shape))
        return words[1:].view(self._about.dtype)[:count].reshape(self._about.shape)


def _checksum(words: NDArray[np.uint64]) -> np.uint64:
    """Tells pages that are missing and garbage from what was written, at the speed of memory."""
    return np.uint64(words.sum(dtype=np.uint64) ^ _MARK)


def kept_rows(
    what: str, source: str, rows: int, shape: tuple[int, ...], dtype: DTypeLike, limit: int
) -> KeptRows | None:
    """The file of rows for a source, made empty if there is none.

    Args:
        what: what the rows are, in words.
        source: a text that changes with all that decides their values.
        limit: the most bytes that all these files may take on this node. Those that were not used for longest go.

    Returns:
        None if there is no room for it, or it can't be made.
    """
    about = About(what, source, rows, shape, np.dtype(dtype).str)
    header = about.header()
    file = kept_folder() / f"{hashlib.sha256(header).hexdigest()[:32]}.rows"
    try:
        if not _is_whole(file, header, about.size):
            file.unlink(missing_ok=True)
            _make_room(about.size, limit)
            _make(file, header, about.size)
        os.utime(file)
    except OSError:
        return None
    return KeptRows(file, about)


def kept_folder() -> Path:
    """The folder of the files. It should be on a disk of the node's own."""
    return cache_folder() / "rows"


def kept_files() -> list[tuple[Path, str]]:
    """The files and what each of them holds in words, those that were not used for longest first."""
    found = [(status.st_mtime, file) for file in kept_folder().glob("*.rows") if (status := _status(file))]
    return [(file, _what(file)) for _, file in sorted(found)]


def _status(file: Path) -> os.stat_result | None:
    try:
        return file.stat()
    except OSError:  # another process has just removed it
        return None


def _what(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return str(json.loads(opened.read(HEADER))["what"])
    except (OSError, ValueError, KeyError, TypeError):
        return "damaged"


def _is_whole(file: Path, header: bytes, size: int) -> bool:
    try:
        with file.open("rb") as opened:
            return opened.read(HEADER) == header and os.fstat(opened.fileno()).st_size == size
    except FileNotFoundError:
        return False


def _make(file: Path, header: bytes, size: int) -> None:
    """Make a file in which no row is there yet, whole at once. Where another process has made it, that one stays."""
    part = file.with_suffix(f".{os.getpid()}-{time.monotonic_ns()}.part")
    try:
        with part.open("xb") as opened:
            opened.write(header)
            opened.truncate(size)
        with contextlib.suppress(FileExistsError):
            os.link(part, file)
    finally:
        part.unlink(missing_ok=True)


def _make_room(size: int, limit: int) -> None:
    """Remove the files that were not used for longest, until one of a size is within the limit.

    Raises:
        OSError: if there is no room even then, or less than twice the size is free on the disk.
    """
    folder = kept_folder()
    folder.mkdir(parents=True, exist_ok=True)
    if size > limit:
        raise OSError("larger than the limit")
    for file in _beyond(size, limit):
        file.unlink(missing_ok=True)
    if 2 * size > shutil.disk_usage(folder).free:
        raise OSError("too little room on the disk")


def _beyond(size: int, limit: int) -> Iterator[Path]:
    sizes = [(file, file.stat().st_size) for file, _ in kept_files()]
    total = size + sum(own for _, own in sizes)
    for file, own in sizes:
        if total <= limit:
            return
        total -= own
        yield file
