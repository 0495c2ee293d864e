"""Results from Python: a frame, fronts and picks of a sweep that is there; importing fpray is cheap."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from upath import UPath

import fpray
from fpray.errors import UserError
from fpray.records import ImageResults
from fpray.records.folder import SweepFolder
from fpray.records.record import Cost, Count, Record
from tests.sweeps import settled, sweep_of

Make = Callable[..., Record]


def counts(id_share: int, ood_share: int) -> dict[str, Count]:
    shares = {"id": id_share, "ood/a": ood_share}
    return {f"{d}/{p}": Count(correct=s, total=100) for d, s in shares.items() for p in ("val", "test")}


@pytest.fixture
def folder(tmp_path: Path, record_of: Make) -> Path:
    """A sweep of two methods, of which one has three configurations that have finished."""
    folder = SweepFolder(UPath(tmp_path / "own"))
    settled(sweep_of(name="own", methods={"full": {"trials": 3}, "l2": {"trials": 1}}), folder)
    cost = Cost(seconds=5.0, images=10, images_per_second=2.0)
    for number, shares in enumerate([(80, 40), (70, 60), (60, 65)]):
        record = record_of(f"full-{number:03d}", status="finished", results=counts(*shares), cost=cost)
        folder.records.write(record)
    folder.records.write(record_of("l2-000", {"lr": 1e-4, "strength": 0.5}))
    return Path(folder.path)


def test_a_sweep_is_loaded_as_a_frame(folder: Path) -> None:
    results = fpray.load(folder)
    frame = results.frame().set_index("trial")
    assert list(frame.index) == ["full-000", "full-001", "full-002", "l2-000"]
    assert frame.loc["full-001", ["test/id", "test/ood", "val/ood/a", "seconds"]].tolist() == [70, 60, 60, 5]
    assert frame.loc["l2-000", "l2.strength"] == 0.5
    assert frame.loc["l2-000", "status"] == "running"
    assert repr(results) == f"Results('{folder}': 3 of 4 trials begun have ended)"


def test_fronts_and_picks(folder: Path) -> None:
    results = fpray.load(str(folder))
    assert [c.name for c in results.front("full")] == ["full-000", "full-001", "full-002"]
    assert [results.best("full", rule).name for rule in ("id_val", "ood_val")] == ["full-000", "full-002"]
    assert results.best("full").name == "full-001"
    assert results.best("full").test.pair == (70, 60)
    for asked, told in (
        (lambda: results.best("l2"), "no configuration of 'l2' has finished"),
        (lambda: results.best("full", "kne"), "did you mean 'knee'"),
        (lambda: results.front("ful"), "did you mean 'full'"),
        (lambda: fpray.load("nothing"), "no sweep 'nothing'"),
    ):
        with pytest.raises(UserError, match=told):
            asked()


def test_a_notebook_shows_table_and_figure(folder: Path) -> None:
    html = fpray.load(folder)._repr_html_()
    assert "full-001" in html and "test OOD" in html
    assert '<img alt="Fronts of own" src="data:image/png;base64,' in html


def test_plug_ins_of_a_folder_are_not_run(folder: Path, trap: Path) -> None:
    evil = folder / "evil.py"
    evil.write_text(f"open({str(trap)!r}, 'w')\n")
    file = folder / "sweep.yaml"
    text = (
        file.read_text()
        .replace("plugins: []", f"plugins: [{evil}]")
        .replace("methods:", "methods:\n  evil: {trials: 1}")
    )
    assert str(evil) in text
    file.write_text(text)
    assert [m.name for m in fpray.load(folder).report.methods] == ["full", "l2"]
    assert not trap.exists()


def test_importing_fpray_is_cheap() -> None:
    code = "import sys, fpray; dir(fpray); print([m for m in ('torch', 'pydantic', 'ray') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
    with pytest.raises(AttributeError):
        _ = fpray.nothing


def test_measures_of_finished_trials(folder: Path) -> None:
    store = SweepFolder(UPath(folder)).records
    rng, splits = np.random.default_rng(0), ("id/val", "id/test", "ood/a/val", "ood/a/test")
    for number in range(3):
        labels = rng.integers(0, 3, 50).astype(np.uint16)
        own = ImageResults(labels, rng.integers(0, 3, 50).astype(np.uint16), *(rng.random(50).astype(np.float16),) * 2)
        store.write_images(f"full-{number:03d}", dict.fromkeys(splits, own))
    frame = fpray.load(folder).measures().set_index("trial")
    assert list(frame.index) == ["full-000", "full-001", "full-002"]
    assert {"id/ECE", "ood/NLL", "id/macro", "ood/worst", "harmonic"} <= set(frame.columns)
    assert (frame["ood/worst"] == frame["harmonic"]).all()  # one domain, of the same images
