"""Changes of a sweep file after trials ran: each is told in a line, and what contradicts the trials is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from fpray.config.file import read_sweep
from fpray.data import PIXELS, Fingerprint
from fpray.errors import UserError
from fpray.records.folder import SweepFolder
from fpray.records.record import Record
from fpray.sweep.changes import text_of
from fpray.sweep.settling import require_same_data
from tests.sweeps import settled, sweep_of

LR = {"log": [1e-4, 2e-3]}
Make = Callable[..., Record]


def file_of(**methods: Any) -> Any:
    return sweep_of(methods=methods)


@pytest.fixture
def folder(tmp_path: Path, record_of: Make) -> SweepFolder:
    """A folder with four finished trials of full fine-tuning, one of l2, and one of wise_ft that has only begun."""
    folder = SweepFolder(UPath(tmp_path / "s"))
    methods = {"full": {"trials": 4, "lr": LR}, "l2": {"trials": 2}, "wise_ft": {"trials": 2, "of": "full"}}
    settled(file_of(**methods), folder)
    for number in range(4):
        folder.records.write(record_of(f"full-{number:03d}", {"lr": 1e-4 * (number + 1)}, status="finished"))
    folder.records.write(record_of("l2-000", {"lr": 1e-4, "strength": 0.1}, status="finished"))
    folder.records.write(record_of("wise_ft-000", {"alpha": 0.5}))
    return folder


OTHERS = {"l2": {"trials": 2}, "wise_ft": {"trials": 2, "of": "full"}}


@pytest.mark.parametrize(
    ("methods", "lines"),
    [
        ({"full": {"trials": 4, "lr": LR}} | OTHERS, []),
        (
            {"full": {"trials": 4, "lr": {"log": [1e-5, 1e-3]}}} | OTHERS,
            ["full.lr was log [0.0001, 0.002], is log [1e-05, 0.001]: the 4 finished trials keep theirs"],
        ),
        (
            {"full": {"trials": 4, "lr": {"choice": [1e-4, 2e-3]}}} | OTHERS,
            ["full.lr was log [0.0001, 0.002], is choice [0.0001, 0.002]: the 4 finished trials keep theirs"],
        ),
        (
            {"full": {"lr": 1e-4}} | OTHERS,
            [
                "full.trials was 4, is 1; left out of tables and report: full-001, full-002, full-003",
                "full.lr was log [0.0001, 0.002], is 0.0001: the 4 finished trials keep theirs",
            ],
        ),
        (
            {"full": {"trials": 2, "lr": LR}} | OTHERS,
            ["full.trials was 4, is 2; left out of tables and report: full-002, full-003"],
        ),
        ({"full": {"trials": 9, "lr": LR}} | OTHERS, ["full.trials was 4, is 9"]),
        (
            {"full": {"trials": 4, "lr": LR}, "wise_ft": OTHERS["wise_ft"]},
            ["the method l2 is no longer there; left out of tables and report: l2-000"],
        ),
        ({"full": {"trials": 4, "lr": LR}, "kd": None} | OTHERS, ["the method kd is new"]),
        (
            {"full": {"trials": 4, "lr": LR}, "l2": OTHERS["l2"], "wise_ft": {"trials": 2, "of": "l2"}},
            ["wise_ft.of was full, is l2: the begun trial wise_ft-000 keeps its own"],
        ),
    ],
)
def test_each_change_is_a_line(folder: SweepFolder, methods: dict[str, Any], lines: list[str]) -> None:
    start = settled(file_of(**methods), folder)
    assert list(start.changes) == lines
    assert start.number == (2 if lines else 1)
    assert read_sweep(Path(folder.start_file(start.number)), ["name=s"]) == read_sweep(Path(folder.sweep_file))


def test_the_search_itself_too(folder: SweepFolder) -> None:
    methods = {"full": {"trials": 4, "lr": LR}} | OTHERS
    start = settled(sweep_of(methods=methods, search={"sampler": "random", "lag": 2}), folder)
    assert start.changes == ("search.lag was 8, is 2", "search.sampler was tpe, is random")


def test_a_constant_that_all_contradict_is_refused(folder: SweepFolder) -> None:
    told = (
        r"full\.lr is 1e-05, but the 4 finished trials ran with 0\.0001, 0\.0002, 0\.0003 and 1 more; "
        "give a range or choice that holds that too, or the sweep another name"
    )
    before = folder.sweep_file.read_text()
    with pytest.raises(UserError, match=told):
        settled(file_of(full={"lr": 1e-5}, **OTHERS), folder)
    assert folder.sweep_file.read_text() == before
    assert folder.newest_start() == 1


def test_every_start_is_kept_and_an_equal_one_is_no_new_one(folder: SweepFolder) -> None:
    first = folder.sweep_file.read_text()
    assert settled(file_of(full={"trials": 5, "lr": LR}, **OTHERS), folder).number == 2
    assert settled(file_of(full={"trials": 5, "lr": LR}, **OTHERS), folder).number == 2
    assert folder.start_file(1).read_text() == first
    assert folder.start_file(2).read_text() == folder.sweep_file.read_text() != first


def test_the_file_of_a_version_that_kept_no_starts_becomes_the_first(folder: SweepFolder) -> None:
    first = folder.sweep_file.read_text()
    folder.start_file(1).unlink()
    assert settled(file_of(full={"trials": 5, "lr": LR}, **OTHERS), folder).number == 2
    assert folder.start_file(1).read_text() == first


def test_nothing_is_told_before_a_trial_ran(tmp_path: Path) -> None:
    folder = SweepFolder(UPath(tmp_path / "s"))
    settled(file_of(full={"trials": 4}), folder)
    start = settled(file_of(l2={"trials": 4}), folder)
    assert (start.number, start.changes) == (2, ())


def test_other_data_is_refused(folder: SweepFolder, record_of: Make) -> None:
    data = {"id/val": Fingerprint(images=3, names="a", sizes="b", labels="c", pixels=PIXELS)}
    other = {"id/val": Fingerprint(images=4, names="a", sizes="b", labels="c", pixels=PIXELS)}
    require_same_data(other, folder, [])
    require_same_data(data, folder, [])  # no trial ran on the others
    require_same_data(data, folder, [record_of()])
    with pytest.raises(UserError, match=r"has trials of other data: id/val had 3 images, has 4\. Put it back"):
        require_same_data(other, folder, [record_of()])
    rounded = {"id/val": data["id/val"].model_copy(update={"pixels": PIXELS - 1})}
    require_same_data(rounded, folder, [])
    with pytest.raises(UserError, match=r"trials of an earlier fpray, whose images differ .* by rounding"):
        require_same_data(data, folder, [record_of()])
    folder.data_file.write_text("{")
    with pytest.raises(UserError, match=r"data\.json' is damaged"):
        require_same_data(data, folder, [record_of()])


def test_dimensions_in_words() -> None:
    assert text_of({"log": [1e-4, 2e-3]}) == "log [0.0001, 0.002]"
    assert text_of({"grid": [True, "a", 3]}) == "grid [True, a, 3]"
    assert text_of(1e-5) == "1e-05"
    assert text_of(["full", "l2"]) == "full, l2"
