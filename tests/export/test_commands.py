"""`fpray export` and `fpray predict` as a user types them."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result

import fpray
from fpray.__main__ import app
from fpray.data import decode
from fpray.results import Results


def said(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def model(finished: Results, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a rule picks, with ONNX."""
    to = tmp_path_factory.mktemp("exported") / "model"
    result = said("export", finished.folder, "--rule", "knee", "--method", "full", "--to", to, "--onnx")
    assert result.exit_code == 0, result.output
    assert "the highest mean of ID and OOD accuracy of full's configurations" in result.output
    assert "model.onnx differs by" in result.output
    return to


def test_images_are_labelled_batch_by_batch(model: Path, pictures: Path, tmp_path: Path) -> None:
    files = sorted((pictures / "photo").glob("*/00[0-4].png"))
    lines = []
    for batch_size in (1, 4, 64):
        result = said("predict", model, pictures / "photo" / "rose" / "000.png", *files, "--batch-size", batch_size)
        assert result.exit_code == 0, result.output
        lines.append(list(csv.DictReader(io.StringIO(result.stdout))))
    assert [line["image"] for line in lines[0]] == [str(pictures / "photo" / "rose" / "000.png"), *map(str, files)]
    opened = fpray.load_model(model)
    for line in lines[0]:
        (label,) = opened.label([decode(Path(line["image"]).read_bytes())])
        assert (line["class"], float(line["probability"])) == (label.name, pytest.approx(label.probability, abs=1e-4))
    for other in lines[1:]:
        assert [line["class"] for line in other] == [line["class"] for line in lines[0]]


def test_folders_are_looked_through_and_broken_images_named(model: Path, pictures: Path, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "a.PNG").write_bytes((pictures / "photo" / "pie" / "000.png").read_bytes())
    (tmp_path / "broken.jpg").write_text("no image")
    (tmp_path / "notes.txt").write_text("nothing")
    Image.new("LA", (9, 9)).save(tmp_path / "clear.png")
    result = said("predict", model, tmp_path)
    assert result.exit_code == 1
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["image"] for row in rows] == [str(tmp_path / "clear.png"), str(inner / "a.PNG")]
    assert f"fpray: '{tmp_path / 'broken.jpg'}' can't be read" in result.stderr


def test_onnx_gives_the_same_logits(model: Path) -> None:
    opened = fpray.load_model(model)
    images = torch.randn(5, 3, *opened.image_size, generator=torch.Generator().manual_seed(3))
    (found,) = onnxruntime.InferenceSession(model / "model.onnx").run(["logits"], {"images": images.numpy()})
    assert np.abs(found - opened(images).numpy()).max() < 1e-4


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "which model? Say --rule knee"),
        (["--rule", "knee", "--trial", "full-000"], "which model?"),
        (["--trial", "full-000", "--method", "full"], "--method goes with --rule"),
        (["--rule", "knee", "--alpha", "0.5"], "--alpha with --trial"),
        (["--rule", "knees"], "did you mean 'knee'"),
    ],
)
def test_mistakes_are_one_sentence(arguments: list[str], told: str, finished: Results, tmp_path: Path) -> None:
    result = said("export", finished.folder, "--to", tmp_path / "model", *arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("fpray: ") and told in result.stderr and result.stderr.count("\n") == 1
    assert not (tmp_path / "model").exists()


def test_what_cannot_be_predicted_is_told(model: Path, pictures: Path, tmp_path: Path) -> None:
    photo = pictures / "photo" / "pie" / "003.png"
    for arguments, told in (
        ((tmp_path, model), "no images"),
        ((tmp_path, photo), "has no classes.json"),
        ((tmp_path / "nowhere", photo), "nowhere' is not there; name a folder that `fpray export` wrote"),
        ((model, tmp_path / "nothing.png"), "is not there"),
        ((model, tmp_path), "no images"),
    ):
        result = said("predict", *arguments)
        assert result.exit_code == 2 and told in result.stderr
