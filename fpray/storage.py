"""The storage folder: a local path or any fsspec address, where a file is there whole or not at all. And the cache."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from upath import UPath

from fpray.errors import UserError
from fpray.redaction import hidden

OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl")
"""The kinds of storage that have no folders, and whose file systems remember what they listed."""
_CREDENTIALS = re.compile(r"://[^/@]*:[^@]*@")


class StorageError(OSError):
    """A file couldn't be written; the system's `errno` is kept, where there is one."""

    action = "write to"

    def __str__(self) -> str:
        return f"can't {self.action} '{hidden(str(self.filename))}': {hidden(str(self.strerror))}"


class UnreadableError(StorageError):
    """A file is there, or may be, but can't be read."""

    action = "read"


def open_storage(address: str) -> UPath:
    """The storage folder, made if need be. A bucket isn't: its name may be mistyped, and others' rules hold for it.

    Raises:
        UserError: if it can't be made or written to.
    """
    try:
        folder = _folder_at(from_home(address))
        if not _is_object_store(folder):
            folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / ".writable", b"")
        with contextlib.suppress(FileNotFoundError):  # another command that tries it too was first
            (folder / ".writable").unlink()
    except Exception as error:  # what a store raises depends on its kind
        reason = hidden(_reason(error))
        raise UserError(f"storage: can't write to '{hidden(address)}': {reason}; choose another folder") from None
    return folder


def _folder_at(address: str) -> UPath:
    folder = UPath(address)
    if is_local(folder):
        return folder.absolute()
    if not _is_object_store(folder):
        return folder
    if _CREDENTIALS.search(address):
        raise ValueError("an address holds no keys, which are read from the environment or the store's own files")
    # Another process's files are to be seen at once.
    return UPath(address, use_listings_cache=False)


def _is_object_store(path: UPath) -> bool:
    return path.protocol in OBJECT_STORES


def from_home(path: str) -> str:
    """The path with the home folder that a `~` or `~user` at its start stands for.

    Raises:
        ValueError: if there is no such home folder.
    """
    try:
        return str(Path(path).expanduser()) if path.startswith("~") else path
    except RuntimeError:
        raise ValueError(f"nobody has the home folder '{Path(path).parts[0]}'") from None


def cache_folder() -> Path:
    """`FPRAY_CACHE` if that is set, else `fpray` in the user's cache folder."""
    if folder := os.environ.get("FPRAY_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fpray"


def is_local(path: UPath) -> bool:
    """Whether the path is on this machine's file system."""
    return path.protocol in ("", "file", "local")


def _nothing() -> None:
    """Nothing stands against a write."""


def write_whole(path: UPath, content: bytes, still_allowed: Callable[[], None] = _nothing) -> None:
    """Write a file so that a reader (or a crash) finds the old content or the new, never a part.

    An object store's upload has that property by itself; elsewhere the file is written beside, then renamed.
    `still_allowed` is called right before the upload or the renaming: what it raises keeps the old content in place.

    Raises:
        StorageError: if the file can't be written.
        FileNotFoundError: if another process removed what was written beside.
    """
    if not is_local(path):
        still_allowed()
        with _as_storage_error(path, Exception):  # what a store raises depends on its kind
            if not _is_object_store(path):
                path.parent.mkdir(parents=True, exist_ok=True)
            path.fs.pipe_file(path.path, content)
        return
    # Another process, thread or host on the same network folder must not write into the same part.
    beside = Path(f"{path.path}.{socket.gethostname()}.{threading.get_native_id()}.{os.getpid()}.part")
    try:
        with _as_storage_error(path, OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with beside.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        still_allowed()
        with _as_storage_error(path, OSError, but=FileNotFoundError):
            beside.replace(path.path)
    except BaseException:
        with contextlib.suppress(OSError):  # a folder that can't be made has no part, and the first error is told
            beside.unlink()
        raise


def read_whole(path: UPath) -> bytes:
    """A file's content at one moment, while another process may replace it.

    Raises:
        FileNotFoundError: if there is no such file.
        UnreadableError: if it can't be read.
    """
    try:
        # Opened, an object is asked for its size first, and is gone when it was replaced before it is read.
        return path.read_bytes() if is_local(path) else path.fs.cat_file(path.path)
    except FileNotFoundError:
        raise
    except Exception as error:  # what a store raises depends on its kind
        raise UnreadableError(getattr(error, "errno", None), _reason(error), str(path)) from error


@contextlib.contextmanager
def _as_storage_error(path: UPath, kind: type[Exception], but: type[Exception] | tuple[()] = ()) -> Iterator[None]:
    try:
        yield
    except but:
        raise
    except kind as error:
        raise StorageError(getattr(error, "errno", None), _reason(error), str(path)) from error


def _reason(error: Exception) -> str:
    """What an error says, on one line and without a capital at its start or a full stop at its end."""
    said = " ".join((getattr(error, "strerror", None) or str(error) or type(error).__name__).split())
    return (said[:1].lower() + said[1:]).rstrip(".")
