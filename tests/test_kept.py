"""Kept rows: what comes back is what was written, whatever happened to the file; and the oldest files make room."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fpray import kept
from fpray.kept import HEADER, KeptRows, kept_files, kept_folder, kept_rows

ROWS, SHAPE = 20, (3, 5, 7)
ROW = 8 + 112
"""The bytes of a row: its checksum, and 105 values, filled up to a multiple of 8."""
RNG = np.random.default_rng(0)
VALUES: NDArray[np.uint8] = RNG.integers(0, 256, (ROWS, *SHAPE), np.uint8)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FPRAY_CACHE", str(tmp_path))
    return kept_folder()


def opened(source: str = "these", limit: int = 2**20, **fields: Any) -> KeptRows:
    wanted = {"rows": ROWS, "shape": SHAPE, "dtype": np.uint8} | fields
    rows = kept_rows("some rows", source, **wanted, limit=limit)
    assert rows is not None
    return rows


def filled(source: str = "these") -> KeptRows:
    rows = opened(source)
    for row, values in enumerate(VALUES):
        rows.put(row, values)
    return rows


def right(rows: KeptRows) -> list[bool]:
    """Whether each row is there; one that is there is as it was written."""
    found = [rows.get(row) for row in range(ROWS)]
    assert all(values is None or np.array_equal(values, own) for values, own in zip(found, VALUES, strict=True))
    return [values is not None for values in found]


def test_a_row_comes_back_as_it_was_written_also_to_others() -> None:
    mine, others = opened(), opened()
    assert right(mine) == [False] * ROWS
    mine.put(3, VALUES[3])
    mine.put(ROWS - 1, VALUES[-1])
    for rows in (mine, others, opened(), pickle.loads(pickle.dumps(mine))):
        assert [row for row, there in enumerate(right(rows)) if there] == [3, ROWS - 1]
        assert [row for row in range(ROWS) if rows.has(row)] == [3, ROWS - 1]


@pytest.mark.parametrize("value", [0, 255])
def test_a_row_of_one_value_is_told_from_an_absent_one(value: int) -> None:
    rows = opened()
    rows.put(1, np.full(SHAPE, value, np.uint8))
    assert np.array_equal(rows.get(1), np.full(SHAPE, value))  # type: ignore[arg-type]
    assert rows.get(0) is None


def test_numbers_of_any_type_are_kept() -> None:
    values = RNG.normal(size=(4, 9)).astype(np.float32)
    rows = opened(rows=4, shape=(9,), dtype=np.float32)
    rows.put(2, values[2])
    assert np.array_equal(rows.get(2), values[2])  # type: ignore[arg-type]
    assert rows.get(2).dtype == np.float32  # type: ignore[union-attr]


@pytest.mark.parametrize("change", [{"source": "those"}, {"rows": 21}, {"shape": (5, 3, 7)}, {"dtype": np.int8}])
def test_other_rows_have_another_file(change: dict[str, Any]) -> None:
    filled()
    assert opened(**change).get(3) is None
    assert len(kept_files()) == 2


def flip(file: Path, place: int) -> None:
    content = bytearray(file.read_bytes())
    content[place] ^= 16
    file.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: os.truncate(file, HEADER + 500),
        lambda file: os.truncate(file, 10),
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(os.urandom(file.stat().st_size)),
        lambda file: file.write_bytes(bytes(file.stat().st_size)),
        lambda file: flip(file, 7),
    ],
    ids=["cut off", "cut off in the header", "empty", "garbage", "zeros", "another header"],
)
def test_a_damaged_file_is_made_anew(damage: Any, folder: Path) -> None:
    filled()
    (file,) = folder.iterdir()
    damage(file)
    assert right(opened()) == [False] * ROWS
    assert right(filled()) == [True] * ROWS


def test_a_page_lost_by_a_power_failure_costs_its_rows_alone(folder: Path) -> None:
    """Of pages that had not been written to the disk, zeros are found afterwards."""
    filled()
    (file,) = folder.iterdir()
    with file.open("r+b") as content:
        content.seek(HEADER + 300)
        content.write(bytes(512))
    there = right(opened())
    assert 0 < there.count(False) <= 2 + 512 // ROW
    assert right(filled()) == [True] * ROWS


def test_a_file_that_shrinks_or_goes_while_it_is_read_is_no_error(folder: Path) -> None:
    rows = filled()
    (file,) = folder.iterdir()
    os.truncate(file, HEADER + 3 * ROW)
    assert right(rows) == [True] * 3 + [False] * (ROWS - 3)
    file.unlink()
    assert right(rows)[0]
    assert right(pickle.loads(pickle.dumps(rows))) == [False] * ROWS
    pickle.loads(pickle.dumps(rows)).put(0, VALUES[0])


def write_all(rows: KeptRows, order: list[int]) -> None:
    for row in order:
        rows.put(row, VALUES[row])


def test_two_writers_and_a_reader_never_see_a_wrong_row() -> None:
    rows = opened()
    orders = [RNG.permutation(ROWS).tolist() * 200 for _ in range(2)]
    writers = [multiprocessing.get_context("fork").Process(target=write_all, args=(rows, order)) for order in orders]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        right(opened())
    assert right(opened()) == [True] * ROWS


def fill_a_full_disk(rows: KeptRows) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (HEADER + 1000, HEADER + 1000))
    write_all(rows, list(range(ROWS)))


def test_a_full_disk_is_as_if_nothing_were_kept() -> None:
    """A limit on the size of a file stands for it: a write is refused as a full disk refuses it."""
    rows = opened()
    process = multiprocessing.get_context("fork").Process(target=fill_a_full_disk, args=(rows,))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert right(rows)[0] and not right(rows)[-1]


def test_the_files_that_were_not_used_for_longest_make_room(folder: Path) -> None:
    size = HEADER + ROWS * ROW
    for age, source in enumerate("abc"):
        opened(source, limit=3 * size)
        newest = max(folder.iterdir(), key=lambda file: file.stat().st_mtime_ns)
        os.utime(newest, (1000 + age, 1000 + age))
    opened("a", limit=3 * size).put(0, VALUES[0])  # used just now
    opened("d", limit=3 * size)
    assert len(kept_files()) == 3
    assert opened("a", limit=3 * size).get(0) is not None
    before = {file for file, _ in kept_files()}
    opened("c", limit=3 * size)
    assert {file for file, _ in kept_files()} == before, "c had not gone"
    assert kept_rows("some rows", "e", ROWS, SHAPE, np.uint8, size - 1) is None


def test_where_it_can_not_be_kept_there_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("FPRAY_CACHE", str(tmp_path / "a file"))
    assert kept_rows("some rows", "these", ROWS, SHAPE, np.uint8, 2**20) is None
    monkeypatch.setenv("FPRAY_CACHE", str(tmp_path / "full"))
    monkeypatch.setattr(kept.shutil, "disk_usage", lambda folder: kept.shutil._ntuple_diskusage(100, 99, 1))
    assert kept_rows("some rows", "these", ROWS, SHAPE, np.uint8, 2**20) is None


def test_what_is_kept_is_listed_in_words(folder: Path) -> None:
    opened()
    (folder / "broken.rows").write_bytes(b"{")
    os.utime(folder / "broken.rows", (1, 1))
    assert [what for _, what in kept_files()] == ["damaged", "some rows"]
