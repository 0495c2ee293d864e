"""The storage folder: a local path or any fsspec address, where a file is there whole or not at all. And the cache."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from upath import UPath

from fpray.errors import UserError


class StorageError(OSError):
    """A file couldn't be written; the system's `errno` is kept, where there is one."""

    def __str__(self) -> str:
        return f"can't write to '{self.filename}': {self.strerror}"


def open_storage(address: str) -> UPath:
    """The storage folder, made if need be.

    Raises:
        UserError: if it can't be made or written to.
    """
    try:
        folder = UPath(from_home(address))
        folder = folder.absolute() if is_local(folder) else folder
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / ".writable", b"")
        (folder / ".writable").unlink()
    except (OSError, ValueError, ImportError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"storage: can't write to '{address}': {reason.lower()}; choose another folder") from None
    return folder


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
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
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


@contextlib.contextmanager
def _as_storage_error(path: UPath, kind: type[Exception], but: type[Exception] | tuple[()] = ()) -> Iterator[None]:
    try:
        yield
    except but:
        raise
    except kind as error:
        raise StorageError(getattr(error, "errno", None), _reason(error), str(path)) from error


def _reason(error: Exception) -> str:
    """What an error says, on one line and without a capital at its start."""
    said = " ".join((getattr(error, "strerror", None) or str(error) or type(error).__name__).split())
    return said[:1].lower() + said[1:]
