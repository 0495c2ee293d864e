"""Storage: a file is there whole or not at all, on disk and on any fsspec address."""

from __future__ import annotations

import errno
import os
import resource
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from upath import UPath

from fpray.errors import UserError
from fpray.storage import (
    StorageError,
    UnreadableError,
    files_below,
    is_local,
    open_storage,
    read_if_there,
    remove,
    remove_folder,
    sizes_below,
    write_whole,
)


@contextmanager
def disk_with_room_for(size: int) -> Iterator[None]:
    """Let every write beyond `size` bytes of a file fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    file = UPath(tmp_path) / "some" / "folder" / "file"
    for content in (b"first", b"", bytes(range(256))):
        write_whole(file, content)
        assert file.read_bytes() == content
        assert [path.name for path in file.parent.iterdir()] == ["file"]


@pytest.mark.parametrize("address", ["memory://written", "local"])
def test_what_writes_a_local_file_may_stand_for_its_content(address: str, tmp_path: Path) -> None:
    folder = UPath(tmp_path if address == "local" else address)
    write_whole(folder / "below" / "file", lambda path: path.write_bytes(b"content"))
    assert (folder / "below" / "file").read_bytes() == b"content"
    assert files_below(folder, "*/*") == ["below/file"]


@pytest.mark.parametrize("save", [False, True], ids=["bytes", "safetensors"])
def test_a_write_that_fails_leaves_the_old_content_and_nothing_beside(save: bool, tmp_path: Path) -> None:
    file = UPath(tmp_path) / "file"
    write_whole(file, b"old")
    large = partial(save_file, {"w": np.zeros(5000, np.uint8)})
    with (
        pytest.raises(StorageError, match="can't write to .*/file': file too large") as caught,
        disk_with_room_for(1000),
    ):
        write_whole(file, large if save else b"x" * 5000)
    assert caught.value.errno == errno.EFBIG
    assert file.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208


def test_a_file_that_something_else_writes_may_be_read_by_whom_any_other_may(tmp_path: Path) -> None:
    """safetensors makes files of mode 0600, and a storage is shared."""
    write_whole(UPath(tmp_path / "plain"), b"content")
    write_whole(UPath(tmp_path / "weights"), lambda path: save_file({"a": np.zeros(2)}, path))
    assert (tmp_path / "weights").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_what_stands_against_a_write_is_said(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as caught, disk_with_room_for(1000):
        write_whole(UPath(tmp_path) / "file", b"x" * 5000)
    assert str(caught.value) == f"can't write to '{tmp_path}/file': file too large"
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, f"{tmp_path}/file")
    (tmp_path / "in-the-way").touch()
    with pytest.raises(StorageError, match="/in-the-way/file': file exists") as caught:
        write_whole(UPath(tmp_path) / "in-the-way" / "file", b"")
    assert caught.value.errno == errno.EEXIST


def test_an_error_of_storage_passes_between_processes(tmp_path: Path) -> None:
    with ProcessPoolExecutor(1, get_context("spawn")) as other:
        error = other.submit(write_whole, UPath(tmp_path), b"").exception()
    assert isinstance(error, StorageError)
    assert str(error) == f"can't write to '{tmp_path}': is a directory"
    assert error.errno == errno.EISDIR


@pytest.mark.parametrize("scheme", ["", "memory:/"])
def test_what_is_no_longer_allowed_is_not_written(scheme: str, tmp_path: Path) -> None:
    def still_allowed() -> None:
        seen.append((file.read_bytes(), sorted(path.name.split(".")[0] for path in file.parent.iterdir())))
        raise TimeoutError("another has taken over")  # an OSError, and none of storage

    file, seen = UPath(f"{scheme}{tmp_path}") / "file", []
    write_whole(file, b"old")
    with pytest.raises(TimeoutError, match="another has taken over"):
        write_whole(file, b"new", still_allowed)
    assert seen == [(b"old", ["file"] if scheme else ["file", "file"])]  # asked once, with the new content beside
    assert file.read_bytes() == b"old"
    assert [path.name for path in file.parent.iterdir()] == ["file"]


def test_a_part_that_another_process_removed_is_told_apart(tmp_path: Path) -> None:
    def remove() -> None:
        (part,) = tmp_path.glob(f"file.*.{os.getpid()}.part")
        part.unlink()

    with pytest.raises(FileNotFoundError):
        write_whole(UPath(tmp_path) / "file", b"new", remove)
    assert list(tmp_path.iterdir()) == []


def test_threads_write_beside_one_another(tmp_path: Path) -> None:
    def meet() -> None:
        meeting.wait()

    def write(content: bytes) -> None:
        write_whole(UPath(tmp_path) / "file", content, meet)

    meeting, contents = threading.Barrier(4), [bytes([65 + i]) * 100_000 for i in range(4)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, contents))
    assert (tmp_path / "file").read_bytes() in contents
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_first_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OSError), disk_with_room_for(1000):
        write_whole(UPath(tmp_path) / "file", b"x" * 5000)
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_can_not_be_replaced_leaves_nothing_beside(tmp_path: Path) -> None:
    (tmp_path / "file" / "inside").mkdir(parents=True)
    with pytest.raises(OSError):
        write_whole(UPath(tmp_path) / "file", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file" / "inside").is_dir()


def test_a_file_is_never_seen_in_part(tmp_path: Path) -> None:
    file = UPath(tmp_path) / "file"
    write_whole(file, b"a" * 100_000)
    with (tmp_path / "file").open("rb") as reader:  # opened before the write, read after it
        start = reader.read(10)
        write_whole(file, b"b" * 100_000)
        assert start + reader.read() == b"a" * 100_000
    assert file.read_bytes() == b"b" * 100_000


def test_storage_is_made_and_left_empty(tmp_path: Path) -> None:
    folder = open_storage(str(tmp_path / "new" / "storage"))
    assert folder.is_dir()
    assert list(folder.iterdir()) == []
    assert open_storage(str(tmp_path / "new" / "storage")) == folder


def test_a_relative_path_means_the_same_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = open_storage("here")
    assert is_local(folder)
    monkeypatch.chdir("/")
    write_whole(folder / "file", b"x")
    assert (tmp_path / "here" / "file").read_bytes() == b"x"


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_storage("~/results") == UPath(tmp_path / "results")
    with pytest.raises(UserError, match="can't write to '~nobody-here/x': nobody has the home folder '~nobody-here';"):
        open_storage("~nobody-here/x")


def test_memory_is_storage_too() -> None:
    folder = open_storage("memory://test-storage/sweeps")
    assert not is_local(folder)
    write_whole(folder / "deep" / "er" / "file", b"first")
    write_whole(folder / "deep" / "er" / "file", b"second")
    assert (folder / "deep" / "er" / "file").read_bytes() == b"second"
    assert [path.name for path in folder.iterdir()] == ["deep"]


def test_storage_that_can_not_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    for address in (str(tmp_path / "file" / "below"), str(tmp_path / "file"), "nonsense://bucket/x"):
        with pytest.raises(UserError) as caught:
            open_storage(address)
        assert str(caught.value).startswith(f"storage: can't write to '{address}': ")
        assert "\n" not in str(caught.value)


@pytest.fixture(params=["local", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> UPath:
    return UPath({"local": str(tmp_path), "memory": f"memory://{tmp_path.name}"}[request.param]) / "folder"


def test_files_are_listed_by_their_paths_below(folder: UPath) -> None:
    assert files_below(folder, "*") == []
    for name in ("b/record", "a/record", "a/c/record", "record", "a/other", "x/record/inside"):
        write_whole(folder / name, b"")
    assert files_below(folder, "*/record") == ["a/record", "b/record"]
    assert files_below(folder, "*") == ["record"]
    assert files_below(folder / "a", "*/*") == ["c/record"]


def test_sizes_are_those_of_the_files_that_are_listed(folder: UPath) -> None:
    for number, name in enumerate(("a/record", "b/record", "a/other", "record")):
        write_whole(folder / name, b"x" * number)
    assert sizes_below(folder, "*/record") == {"a/record": 0, "b/record": 1}
    assert sizes_below(folder / "nothing", "*") == {}


def test_a_file_and_a_folder_are_removed_if_they_are_there(folder: UPath) -> None:
    for name in ("a/file", "a/b/file", "ab/file", "file"):
        write_whole(folder / name, b"content")
    for _ in range(2):
        remove(folder / "file")
        remove_folder(folder / "a")
        assert read_if_there(folder / "file") is None
        assert read_if_there(folder / "ab" / "file") == b"content"
        assert [path.name for path in folder.iterdir()] == ["ab"]


def test_what_can_not_be_removed_or_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match=f"^can't write to '{tmp_path}/folder': is a directory$"):
        remove(UPath(tmp_path) / "folder")
    with pytest.raises(UnreadableError, match=f"^can't read '{tmp_path}/folder': is a directory$"):
        read_if_there(UPath(tmp_path) / "folder")
