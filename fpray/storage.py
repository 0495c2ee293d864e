"""The storage folder: a local path or any fsspec address, where a file is there whole or not at all. And the cache."""

from __future__ import annotations

import os
from pathlib import Path

from upath import UPath

from fpray.errors import UserError


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


def write_whole(path: UPath, content: bytes) -> None:
    """Write a file so that a reader (or a crash) finds the old content or the new, never a part.

    An object store's upload has that property by itself; elsewhere the file is written beside, then renamed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not is_local(path):
        path.write_bytes(content)
        return
    beside = Path(f"{path.path}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path.path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
