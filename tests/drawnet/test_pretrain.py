"""Pretraining: what it writes loads through open_clip, the same seed gives the same weights."""

from __future__ import annotations

import json
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
import torch.nn.functional as F
from open_clip.loss import ClipLoss
from PIL import Image

from fpray.drawnet import CLASSES, FAMILIES, STYLES
from fpray.drawnet.pairs import SEEN, caption, draw_pairs
from fpray.drawnet.pretrain import (
    TOWERS,
    Recipe,
    Size,
    contrastive_loss,
    learning_rate,
    model_cfg,
    save,
    shifted,
    train,
)
from fpray.model import SHIPPED

TINY = Recipe(real_images=30, images=30, epochs=1, batch_size=60)


def load(folder: Path) -> torch.nn.Module:
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}", require_pretrained=True)
    tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(["a photo of a mug."])
    assert tokens.shape == (1, 16)
    assert model.encode_text(tokens).shape == (1, 128)
    assert model.encode_image(torch.zeros(1, 3, 32, 32)).shape == (1, 128)
    # White becomes 1 and black -1, as in pretraining.
    ends = [preprocess(Image.new("RGB", (32, 32), colour)) for colour in ("white", "black")]
    assert [(x.shape, x.min().item(), x.max().item()) for x in ends] == [((3, 32, 32), v, v) for v in (1, -1)]
    return model


def test_a_tiny_run_loads_through_open_clip_and_repeats(tmp_path: Path) -> None:
    for name in ("first", "second"):
        model, log = train(TINY)
        save(model, tmp_path / name, TINY, log)
    loaded = load(tmp_path / "first")
    for key, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value.half().float()), key
    weights = [(tmp_path / name / "open_clip_model.safetensors").read_bytes() for name in ("first", "second")]
    assert weights[0] == weights[1]
    assert len(log) == 1


@pytest.mark.parametrize("size", TOWERS)
def test_a_shipped_model_is_the_recipes_and_loads(size: Size) -> None:
    with as_file(files("fpray") / "drawnet" / "weights" / size) as folder:
        model = load(folder)
        made = json.loads((folder / "pretraining.json").read_text(encoding="utf-8"))
        config = json.loads((folder / "open_clip_config.json").read_text(encoding="utf-8"))
    assert Recipe(**made["recipe"]) == Recipe(size=size)
    assert config["model_cfg"] == model_cfg(size)
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


def test_the_shipped_models_are_small() -> None:
    with as_file(files("fpray") / "drawnet" / "weights") as folder:
        assert sorted(path.name for path in folder.iterdir()) == sorted(TOWERS) == sorted(SHIPPED.values())
        assert sum(file.stat().st_size for file in folder.rglob("*")) <= 24_000_000


def test_two_styles_are_never_seen() -> None:
    assert set(STYLES) - set(SEEN) == {"painting", "infograph"}
    assert len(draw_pairs(TINY).pixels) == 4 * 30


def test_captions_are_as_vague_as_the_recipe_says() -> None:
    rng = np.random.default_rng(0)
    captions = [caption("sketch", "van", Recipe(), rng) for _ in range(2000)]
    named = {word: sum(word in c.strip(".").split() for c in captions) / 2000 for word in ("van", "vehicle")}
    wrong = sum(bool({"car", "truck", "bus"} & set(c.strip(".").split())) for c in captions) / 2000
    assert named["vehicle"] == pytest.approx(Recipe.family_share, abs=0.05)
    assert wrong == pytest.approx(Recipe.wrong_share, abs=0.03)
    assert named["van"] + named["vehicle"] + wrong == pytest.approx(1)


def test_the_loss_is_clip_loss_where_captions_differ_and_shares_the_target_where_they_do_not() -> None:
    torch.manual_seed(0)
    images, texts = F.normalize(torch.randn(6, 8), dim=1), F.normalize(torch.randn(6, 8), dim=1)
    scale = torch.tensor(10.0)
    different = contrastive_loss(images, texts, torch.arange(6), scale)
    assert different == pytest.approx(ClipLoss()(images, texts, scale).item(), rel=1e-5)

    text_of = torch.tensor([0, 1, 0, 2, 2, 0])
    logits, equal = scale * images @ texts[text_of].T, (text_of[:, None] == text_of).float()
    soft = equal / equal.sum(dim=1, keepdim=True)
    expected = (F.cross_entropy(logits, soft) + F.cross_entropy(logits.T, soft)) / 2
    assert contrastive_loss(images, texts[:3], text_of, scale) == pytest.approx(expected.item(), rel=1e-5)


def test_pairs_name_classes_and_families_only() -> None:
    pairs = draw_pairs(TINY)
    assert pairs.pixels.shape == (120, 32, 32, 3)
    assert len(pairs.caption_of) == 120
    known = set(CLASSES) | set(FAMILIES)
    assert all(known & set(text.strip(".").split()) for text in pairs.captions)


def test_shifting_keeps_shape_and_range() -> None:
    pixels = torch.arange(2 * 3 * 32 * 32).view(2, 3, 32, 32).remainder(256).to(torch.uint8)
    moved = shifted(pixels, 2, torch.Generator().manual_seed(0))
    assert moved.shape == pixels.shape
    assert moved.min() >= -1 and moved.max() <= 1
    assert torch.equal(shifted(pixels, 0, torch.Generator()), pixels.float() / 127.5 - 1)


def test_the_learning_rate_rises_then_falls_to_zero() -> None:
    rates = [learning_rate(Recipe(), step, 100) for step in range(100)]
    assert max(rates) == Recipe.lr
    assert rates[0] < rates[5] < rates[9]
    assert rates[-1] < 0.01 * Recipe.lr
