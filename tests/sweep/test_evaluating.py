"""Finished trials evaluated on other data: recorded beside their results, which stay as they were."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import ray
import yaml
from PIL import Image
from typer.testing import CliRunner
from upath import UPath

from fpray.__main__ import app
from fpray.config.file import check_sweep
from fpray.errors import UserError
from fpray.export import ExportedModel, by_trial, load_model, write_model
from fpray.records import SweepFolder
from fpray.report import as_html
from fpray.results import Results, load
from fpray.sweep.evaluating import evaluate_sweep
from tests.finished import CLASSES, finished, pictures

__all__ = ["finished", "pictures"]


@pytest.fixture
def copy(finished: Results, tmp_path: Path) -> Results:
    shutil.copytree(str(finished.folder), tmp_path / "small")
    return Results(SweepFolder(UPath(tmp_path / "small")))


def tree_of(root: Path, *classes: str) -> dict[str, object]:
    """A data section with new images of some classes, in two domains."""
    rng = np.random.default_rng(7)
    for domain in ("photo", "neon"):
        for label, name in enumerate(classes):
            (root / domain / name).mkdir(parents=True)
            for number in range(20):
                pixels = rng.integers(0, 90, (24, 24, 3), np.uint8)
                pixels[..., label % 3] += 120
                Image.fromarray(pixels).save(root / domain / name / f"{number:03d}.png")
    shares = {"id_val": 0.2, "ood_val": 0.2}
    return {"layout": "domains", "root": str(root), "id": "photo", "templates": ["a {}."]} | shares


def test_other_classes_are_refused(copy: Results, tmp_path: Path) -> None:
    folder = SweepFolder(copy.folder)
    for classes, told in (
        (("hot_dog", "pie", "tulip"), "data: class 2 is 'tulip', and the trials' is 'rose'"),
        (("hot_dog", "pie"), "data: 2 classes, the trials have 3"),
    ):
        other = check_sweep({"name": "new", "data": tree_of(tmp_path / "-".join(classes), *classes)}, "new")
        with pytest.raises(UserError, match=told):
            evaluate_sweep(folder, copy.sweep, other)
    with pytest.raises(UserError, match="no trial 'full-009' has finished; did you mean 'full-001'"):
        evaluate_sweep(folder, copy.sweep, other, trials=["full-009"])


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Path]:
    """A sweep file with other data of the same classes."""
    file = tmp_path / "neon.yaml"
    file.write_text(yaml.safe_dump({"data": tree_of(tmp_path / "tree", *CLASSES)}))
    yield file


def right(model: ExportedModel, root: Path, tests: list[str]) -> int:
    images = [(Image.open(root / path).convert("RGB"), Path(path).parent.name.replace("_", " ")) for path in tests]
    return sum(label.name == name for label, (_, name) in zip(model.label([i for i, _ in images]), images, strict=True))


@pytest.fixture
def _no_ray_after() -> Iterator[None]:
    """The command runs in this process, and would leave its Ray to the tests that follow."""
    yield
    ray.shutdown()


@pytest.mark.long
@pytest.mark.usefixtures("_no_ray_after")
def test_new_sets_are_recorded_beside_the_old_results(copy: Results, new: Path, tmp_path: Path) -> None:
    folder = SweepFolder(copy.folder)
    before = {r.trial.id: r.model_dump_json() for r in folder.records.read_all()}
    said = CliRunner().invoke(app, ["evaluate", str(copy.folder), str(new), "--trial", "full-001"])
    assert said.exit_code == 0, said.output
    assert "[1/1] full-001" in said.output
    (record,) = folder.evaluation("neon").records.read_all()
    assert record.status == "finished" and set(record.results) == {"id/test", "ood/neon/test"}
    again = CliRunner().invoke(app, ["evaluate", str(copy.folder), str(new)])  # the others, and that one not twice
    assert again.exit_code == 0 and "[5/5]" in again.output and "full-001  " not in again.output
    assert {r.trial.id: r.model_dump_json() for r in folder.records.read_all()} == before

    results = load(str(copy.folder))
    assert {r.trial.sources[0] for r in results.evaluations["neon"]} == set(before)
    write_model(results, by_trial(results, "full-001"), tmp_path / "model")
    dataset_tests = folder.evaluation("neon").records.read_images(record.trial.id)["ood/neon/test"]
    from fpray.data import open_dataset

    dataset = open_dataset(check_sweep({"name": "neon", "data": yaml.safe_load(new.read_text())["data"]}, "neon").data)
    (split,) = [s for s in dataset.splits() if s.name == "ood/neon/test"]
    images = dataset.images(split)
    names = [images.name_of(index) for index in range(len(images))]
    assert right(load_model(tmp_path / "model"), tmp_path / "tree", names) == dataset_tests.correct.sum()
    page = as_html(results.content)
    assert "On other data: neon" in page and "ood/neon/test" in page
    (new.parent / "tree" / "neon" / "pie" / "000.png").unlink()
    changed = CliRunner().invoke(app, ["evaluate", str(copy.folder), str(new)])
    assert changed.exit_code == 2 and "has trials of other data" in changed.output
