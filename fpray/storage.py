"""The storage folder, a local path or any fsspec address, whose files are written whole or not at all; the cache."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from upath import UPath

from fpray.errors import UserError, message_of
from fpray.redaction import hidden

DEFAULT_STORAGE = "fpray-results"
"""The storage of a sweep file that names none, relative to where the command stands."""
OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl")
"""The schemes of stores that have no folders, and whose file systems keep the listings that they read."""
Writer = Callable[[Path], object]
"""Writes a file's content to a path on this machine."""
_CREDENTIALS = re.compile(r"://[^/@]*:[^@]*@")


class StorageError(OSError):
    """A file can't be written; `errno` is the system's, if it gave one."""

    action = "write to"

    def __str__(self) -> str:
        return f"can't {self.action} '{hidden(str(self.filename))}': {hidden(str(self.strerror))}"


class UnreadableError(StorageError):
    """A file can't be read, although it is there or may be there."""

    action = "read"


def open_storage(address: str) -> UPath:
    """Open the storage folder, and make it if need be.

    A bucket is never made: its name may be mistyped, and its owner has rules for new ones.

    Raises:
        UserError: if it can't be made or written to.
    """
    try:
        folder = _folder_at(from_home(address))
        if not _is_object_store(folder):
            folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / ".writable", b"")
        remove(folder / ".writable")
    except Exception as error:  # each kind of store raises its own
        why = hidden(message_of(error))
        raise UserError(f"storage: can't write to '{hidden(address)}': {why}; choose another folder") from None
    return folder


def _folder_at(address: str) -> UPath:
    folder = UPath(address)
    if is_local(folder):
        return folder.absolute()
    if not _is_object_store(folder):
        return folder
    if _CREDENTIALS.search(address):
        raise ValueError("an address holds no keys, which are read from the environment or the store's own files")
    # Files that another process wrote must be seen at once.
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


def state_folder() -> Path:
    """`FPRAY_STATE` if that is set, else `fpray` in the user's folder of state."""
    if folder := os.environ.get("FPRAY_STATE"):
        return Path(folder)
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "fpray"


def is_local(path: UPath) -> bool:
    """Whether the path is on this machine's file system."""
    return path.protocol in ("", "file", "local")


def write_whole(path: UPath, content: bytes | Writer, still_allowed: Callable[[], None] | None = None) -> None:
    """Write a file so that a reader (or a crash) finds the old content or the new, never a part.

    An object store's upload has that property by itself; elsewhere the file is written beside, then renamed.

    Args:
        path: the file; folders above it are made.
        content: its new content, or what writes it: a large one is then never whole in memory, and goes to an object
            store in parts.
        still_allowed: is called right before the upload or the renaming; if it raises, the old content stays.

    Raises:
        StorageError: if the file can't be written.
        FileNotFoundError: if another process removed the file beside before it was renamed.
    """
    if not is_local(path):
        _upload(path, content, still_allowed or (lambda: None))
        return
    # Another process, thread or host on the same network folder must not write into the same part.
    beside = Path(f"{path.path}.{socket.gethostname()}.{threading.get_native_id()}.{os.getpid()}.part")
    try:
        with writing(path, OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_local(beside, content)
            with beside.open("rb+") as file:
                os.fsync(file.fileno())
        if still_allowed is not None:
            still_allowed()
        with writing(path, OSError, but=FileNotFoundError):
            beside.replace(path.path)
    except BaseException:
        # If the folder can't be made there is nothing beside; the first error counts.
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


def _write_local(path: Path, content: bytes | Writer) -> None:
    if not callable(content):
        path.write_bytes(content)
        return
    path.touch()
    mode = path.stat().st_mode  # safetensors makes files that nobody else may read
    try:
        content(path)
        path.chmod(mode)
    except Exception as error:  # what is written in Rust, as safetensors is, has the system's error in its text alone
        number = re.search(r"\(os error (\d+)\)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1]))) from error


def _upload(path: UPath, content: bytes | Writer, still_allowed: Callable[[], None]) -> None:
    with contextlib.ExitStack() as stack:
        if callable(content):
            file = Path(stack.enter_context(tempfile.TemporaryDirectory()), path.name)
            with writing(UPath(file), OSError):
                _write_local(file, content)
        still_allowed()
        with writing(path):
            if not _is_object_store(path):
                path.parent.mkdir(parents=True, exist_ok=True)
            if callable(content):
                path.fs.put_file(str(file), path.path)
            else:
                path.fs.pipe_file(path.path, content)


def read_whole(path: UPath) -> bytes:
    """Read a file's content as it is at one moment, while another process may replace the file.

    Raises:
        FileNotFoundError: if there is no such file.
        UnreadableError: if it can't be read.
    """
    with reading(path):
        if is_local(path):
            return path.read_bytes()
        # Asked for its size first, or read in parts that are then put together, an object may be replaced in between.
        in_one_request = {"max_concurrency": 1} if _is_object_store(path) else {}
        content: bytes = path.fs.cat_file(path.path, **in_one_request)
        return content


def read_if_there(path: UPath) -> bytes | None:
    """Read a file, see `read_whole`; None if there is no such file.

    Raises:
        UnreadableError: if it can't be read.
    """
    try:
        return read_whole(path)
    except FileNotFoundError:
        return None


def files_below(folder: UPath, pattern: str) -> list[str]:
    """The files below a folder whose paths from there match a pattern such as `*/record.json`, sorted.

    There are none if the folder isn't there. An object store is asked once for a thousand files.

    Raises:
        UnreadableError: if they can't be listed.
    """
    with reading(folder):
        if is_local(folder):
            local = Path(folder.path)
            return sorted(path.relative_to(local).as_posix() for path in local.glob(pattern) if not path.is_dir())
        return sorted(name for name in _all_below(folder) if _matches(name, pattern))


def sizes_below(folder: UPath, pattern: str) -> dict[str, int]:
    """The bytes of each of the files that `files_below` finds.

    Raises:
        UnreadableError: if they can't be listed.
    """
    with reading(folder):
        if is_local(folder):
            return {name: (Path(folder.path) / name).stat().st_size for name in files_below(folder, pattern)}
        return {name: size for name, size in sorted(_all_below(folder).items()) if _matches(name, pattern)}


def _matches(name: str, pattern: str) -> bool:
    path = PurePosixPath(name)
    return len(path.parts) == len(PurePosixPath(pattern).parts) and path.match(pattern)


def _all_below(folder: UPath) -> dict[str, int]:
    """All files below a folder that is not local, as paths from there, and their bytes."""
    if _is_object_store(folder):
        # Asked for a folder, and not for what has a prefix, some stores look twice more where there is none.
        found = folder.fs.find(folder.parent.path, prefix=f"{folder.name}/", detail=True)
    else:
        found = folder.fs.find(folder.path, detail=True)
    above = f"{folder.path}/"
    return {
        path.removeprefix(above): int(known.get("size") or 0)
        for path, known in found.items()
        if path.startswith(above) and path != above
    }


def remove(path: UPath) -> None:
    """Remove a file, if it is there.

    Raises:
        StorageError: if it can't be removed.
    """
    with contextlib.suppress(FileNotFoundError), writing(path, but=FileNotFoundError):
        if is_local(path):
            Path(path.path).unlink()
        else:
            path.fs.rm_file(path.path)


def remove_folder(folder: UPath) -> None:
    """Remove a folder and all that is in it, if it is there.

    Raises:
        StorageError: if it can't be removed.
    """
    with contextlib.suppress(FileNotFoundError), writing(folder, but=FileNotFoundError):
        if is_local(folder):
            shutil.rmtree(folder.path)
        elif not _is_object_store(folder):
            folder.fs.rm(folder.path, recursive=True)
        else:  # there are no folders
            for name in _all_below(folder):
                remove(folder / name)


@contextlib.contextmanager
def reading(path: UPath) -> Iterator[None]:
    """Turn what a store raises into an `UnreadableError` of the path; a `FileNotFoundError` passes."""
    try:
        yield
    except (FileNotFoundError, StorageError):
        raise
    except Exception as error:  # each kind of store raises its own
        raise UnreadableError(getattr(error, "errno", None), message_of(error), str(path)) from error


@contextlib.contextmanager
def writing(
    path: UPath, kind: type[Exception] = Exception, but: type[Exception] | tuple[type[Exception], ...] = ()
) -> Iterator[None]:
    """Turn errors of a kind into a `StorageError` of the path; those of the kind `but` pass.

    Each kind of store raises its own, so the kind is `Exception` where the path may be anywhere.
    """
    try:
        yield
    except but:
        raise
    except StorageError:  # it says so already
        raise
    except kind as error:
        raise StorageError(getattr(error, "errno", None), message_of(error), str(path)) from error
