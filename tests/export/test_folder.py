"""An exported folder: what open_clip makes of it, what its files say of themselves, and its model card."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

import fpray
from fpray.data import open_dataset
from fpray.errors import UserError
from fpray.export import by_rule, by_trial, write_model
from fpray.records import RecordStore
from fpray.results import Results
from fpray.training.point import evaluate_point
from fpray.training.runtime import Runtime
from tests.intervals import wilson

ALONE = """
import json, sys, open_clip, torch
from PIL import Image
from safetensors.torch import load_file
folder, *images = sys.argv[1:]
clip, preprocess = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
head = load_file(f"{folder}/head.safetensors")
with torch.no_grad():
    pixels = torch.stack([preprocess(Image.open(image).convert("RGB")) for image in images])
    logits = clip.encode_image(pixels, normalize=True) @ head["weight"].T + head["bias"]
print(json.dumps(logits.tolist()))
assert not [name for name in sys.modules if name.split(".")[0] == "fpray"]
"""
"""What a user writes who has open_clip, torch and safetensors alone."""


def exported(results: Results, trial: str, to: Path, alpha: float | None = None) -> Path:
    write_model(results, by_trial(results, trial, alpha), to)
    return to


@pytest.mark.parametrize("trial", ["zero_shot-000", "full-001", "lora-000", "wise_ft-000"])
def test_plain_open_clip_gives_the_same_logits(trial: str, finished: Results, tmp_path: Path, pictures: Path) -> None:
    folder = exported(finished, trial, tmp_path / "model")
    files = sorted((pictures / "sketch").glob("*/00[0-3].png"))
    command = [sys.executable, "-c", ALONE, str(folder), *map(str, files)]
    logits = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout)
    model = fpray.load_model(folder)
    found = model(torch.stack([model.preprocess(Image.open(file)) for file in files]))
    # open_clip resizes by Pillow, fpray by torch: pixels differ by rounding, 24 to 32 here.
    assert torch.allclose(torch.tensor(logits), found, rtol=0, atol=0.05)
    assert torch.equal(torch.tensor(logits).argmax(dim=1), found.argmax(dim=1))


@pytest.mark.parametrize("trial", ["full-001", "lora-000", "wise_ft-000"])
def test_it_gets_the_images_right_that_the_trial_got_right(trial: str, finished: Results, tmp_path: Path) -> None:
    model = fpray.load_model(exported(finished, trial, tmp_path / "model"))
    dataset = open_dataset(finished.sweep.data)
    seen = RecordStore(finished.folder).read_images(trial)
    assert model.classes == ("hot dog", "pie", "rose")
    for split in dataset.splits():
        if split.part != "train":
            images = dataset.images(split)
            labels = list(model.label([images[index] for index in range(len(images))], batch_size=7))
            assert [model.classes.index(label.name) for label in labels] == seen[split.name].classes.tolist()
            confidences = seen[split.name].confidences.astype(float)
            assert np.allclose([label.probability for label in labels], confidences, atol=1e-3)


def test_files_say_what_they_are(finished: Results, tmp_path: Path) -> None:
    folder = exported(finished, "full-000", tmp_path / "model")
    trial = Path(str(finished.folder), "trials", "full-000", "weights.safetensors")
    for file in (folder / "open_clip_model.safetensors", folder / "head.safetensors", trial):
        with safe_open(file, "pt") as opened:
            metadata = json.loads(opened.metadata()["fpray"])
        assert metadata["classes"] == ["hot dog", "pie", "rose"]
        assert metadata["model"] == finished.sweep.model.each()[0].name
        assert metadata["head"].startswith("logits = weight @ f + bias")
    assert json.loads((folder / "classes.json").read_text()) == ["hot dog", "pie", "rose"]
    config = json.loads((folder / "open_clip_config.json").read_text())
    assert config["preprocess_cfg"]["size"] == [32, 32] or config["preprocess_cfg"]["size"] == 32
    assert "methods:" in (folder / "sweep.yaml").read_text()


def test_only_the_image_tower_is_the_trials(finished: Results, tmp_path: Path, tiny_clip: str) -> None:
    from safetensors.torch import load_file

    folder = exported(finished, "full-001", tmp_path / "model")
    now = load_file(folder / "open_clip_model.safetensors")
    before = load_file(Path(tiny_clip.removeprefix("local-dir:"), "open_clip_model.safetensors"))
    own = RecordStore(finished.folder).read_weights("full-001")
    assert now.keys() == before.keys()
    for key, value in now.items():
        assert torch.equal(value, own[key] if key.startswith("visual.") else before[key]), key
    assert any(not torch.equal(now[key], before[key]) for key in now)


def test_the_card_has_every_number_with_its_interval(finished: Results, tmp_path: Path) -> None:
    folder = exported(finished, "full-001", tmp_path / "model")
    text = (folder / "README.md").read_text()
    record = next(r for r in finished.records if r.trial.id == "full-001")
    for split, count in record.results.items():
        (line,) = [line for line in text.splitlines() if line.startswith(f"| {split} |")]
        value, half = (float(cell) for cell in line.split("|")[2].split("±"))
        assert value == pytest.approx(100 * count.correct / count.total, abs=0.06)
        assert half == pytest.approx(wilson(count.correct, count.total), rel=0.25), split
    for words in ("named by its id", "The text tower is", "Intended use", "license:", "lr=", "ood/test"):
        assert words.lower() in text.lower()


def test_the_cards_own_lines_load_it(finished: Results, tmp_path: Path, pictures: Path) -> None:
    folder = exported(finished, "full-001", tmp_path / "model")
    (tmp_path / "photo.jpg").write_bytes((pictures / "photo" / "pie" / "003.png").read_bytes())
    blocks = [block.split("```")[0] for block in (folder / "README.md").read_text().split("```python\n")[1:]]
    names = []
    for block in blocks:
        assert len(block.strip().splitlines()) <= 8
        code = block.replace("FOLDER", str(folder))
        command = [sys.executable, "-c", code]
        said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
        names.append(said.split(" 0.")[0].strip())
    assert len(names) == 2 and names[0] == names[1] and names[0] in ("hot dog", "pie", "rose")


def test_averaged_weights_lie_between(finished: Results, tmp_path: Path) -> None:
    whole = fpray.load_model(exported(finished, "full-001", tmp_path / "one", alpha=1.0))
    none = fpray.load_model(exported(finished, "full-001", tmp_path / "zero", alpha=0.0))
    half = fpray.load_model(exported(finished, "full-001", tmp_path / "half", alpha=0.5))
    zero_shot = fpray.load_model(exported(finished, "zero_shot-000", tmp_path / "zero-shot"))
    trained = fpray.load_model(exported(finished, "full-001", tmp_path / "full"))
    for name, value in half.state_dict().items():
        start, end = none.state_dict()[name], whole.state_dict()[name]
        assert torch.equal(start, zero_shot.state_dict()[name]) and torch.equal(end, trained.state_dict()[name])
        if value.is_floating_point():
            assert torch.allclose(value, (start + end) / 2, atol=1e-6)
    card = (tmp_path / "half" / "README.md").read_text()
    assert "averaged with the pre-trained weights, of which it has 0.5" in card
    assert "Not evaluated on the test images" in card


def test_a_point_that_was_evaluated_has_its_numbers(finished: Results, tmp_path: Path, alone: Runtime) -> None:
    from fpray.records import Record, SweepFolder

    folder = SweepFolder(finished.folder)
    trial = next(r.trial for r in finished.records if r.trial.id == "full-000")
    record = folder.points.records.claim(Record(trial=trial.point(0.5), started=1.0))
    settings = finished.sweep.trial_settings("full")
    evaluate_point(record, settings, folder.points, alone, trials=folder.records)
    results = Results(folder)
    write_model(results, by_trial(results, "full-000", 0.5), tmp_path / "model")
    card = (tmp_path / "model" / "README.md").read_text()
    evaluated = folder.points.records.read(record.trial.id)
    assert f"| id/test | {evaluated.results['id/test'].top1:.1f} ±" in card


def test_rules_choose(finished: Results) -> None:
    best = by_rule(finished, "id_val", "full")
    picked = finished.best("full", "id_val")
    assert best.record.trial.id == picked.trials[0]
    assert best.reason == (
        "the highest ID accuracy of full's configurations (rule id_val, which sees ID validation labels)"
    )
    assert "of all methods' configurations" in by_rule(finished, "knee").reason
    assert by_rule(finished, "knee").record.trial.id == finished.best(rule="knee").trials[0]


def test_mistakes(finished: Results, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for asked, told in (
        (lambda: exported(finished, "full-009", tmp_path / "x"), "no readable record of a trial 'full-009'"),
        (lambda: exported(finished, "full-000", tmp_path / "full"), "--to: .* is there already"),
        (lambda: exported(finished, "full-000", tmp_path / "x", 1.5), "--alpha 1.5: must lie between 0"),
        (lambda: exported(finished, "zero_shot-000", tmp_path / "x", 0.5), "nothing to average"),
        (lambda: by_rule(finished, "min_id=100", "zero_shot"), "no configuration of 'zero_shot' has"),
        (lambda: by_rule(finished, "knee", "l1"), "the sweep has no method 'l1'"),
        (lambda: fpray.load_model(tmp_path), "has no classes.json; name a folder that `fpray export` wrote"),
    ):
        with pytest.raises(UserError, match=told):
            asked()
