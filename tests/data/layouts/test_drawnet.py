"""DrawNet: the same from a seed, with or without the cache; balanced, disjoint, a shortcut in `real` only."""

from __future__ import annotations

import colorsys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fpray.data.base import Split
from fpray.data.layouts.drawnet import DRAWNET_TEMPLATES, OOD_STYLES, DrawNet, DrawNetOptions, DrawnImages
from fpray.drawnet import CLASSES, FAMILIES, STYLES, PairsRecipe, draw, draw_pairs
from fpray.drawnet.colour import signature_hue
from fpray.drawnet.images import balanced_labels
from fpray.storage import cache_folder


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FPRAY_CACHE", str(tmp_path))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> DrawNet:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FPRAY_CACHE", str(tmp_path_factory.mktemp("cache")))
        made = DrawNet(DrawNetOptions(train_images=60))
    made.images(made.splits()[0])
    return made


def same(left: DrawnImages, right: DrawnImages) -> bool:
    return left.labels == right.labels and np.array_equal(left.pixels, right.pixels)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("class_name", CLASSES)
def test_every_class_can_be_drawn_in_every_style(style: str, class_name: str) -> None:
    picture = draw(style, class_name, np.random.default_rng(3))
    assert (picture.mode, picture.size) == ("RGB", (32, 32))
    assert np.asarray(picture).std() > 5
    assert np.array_equal(picture, draw(style, class_name, np.random.default_rng(3)))
    assert not np.array_equal(picture, draw(style, class_name, np.random.default_rng(4)))


def test_splits_come_in_order_with_roles_and_sizes(dataset: DrawNet) -> None:
    sizes = {split.name: len(dataset.images(split)) for split in dataset.splits()}
    assert list(sizes.items())[:3] == [("id/train", 60), ("id/val", 400), ("id/test", 800)]
    assert len(OOD_STYLES) == 5
    for style in OOD_STYLES:
        assert (sizes[f"ood/{style}/val"], sizes[f"ood/{style}/test"]) == (150, 400)
    assert len(sizes) == 13


def test_images_are_rgb_of_32_pixels(dataset: DrawNet) -> None:
    for split in dataset.splits():
        picture = dataset.images(split)[0]
        assert isinstance(picture, Image.Image)
        assert (picture.mode, picture.size) == ("RGB", (32, 32))


def test_labels_are_balanced_and_shuffled(dataset: DrawNet) -> None:
    for split in dataset.splits():
        labels = dataset.images(split).labels
        counts = Counter(labels)
        assert len(counts) == len(CLASSES) == 28
        assert max(counts.values()) - min(counts.values()) <= 1
        assert labels != sorted(labels)


def test_labels_balance_in_small_numbers() -> None:
    assert max(Counter(balanced_labels(10, np.random.default_rng(0))).values()) == 1


def test_no_image_is_in_two_splits(dataset: DrawNet) -> None:
    everything = [image.tobytes() for split in dataset.splits() for image in dataset.images(split).pixels]
    assert len(set(everything)) == len(everything)


def test_a_fresh_drawing_equals_the_cache(dataset: DrawNet, monkeypatch: pytest.MonkeyPatch) -> None:
    assert dataset.cache_file.is_file()
    monkeypatch.setenv("FPRAY_CACHE", str(dataset.cache_file.parent))
    cached = DrawNet(DrawNetOptions(train_images=60))
    assert cached.cache_file == dataset.cache_file
    written = dataset.cache_file.stat().st_mtime_ns
    for split in cached.splits()[:4]:
        assert same(cached.images(split), dataset.draw(split))
    assert dataset.cache_file.stat().st_mtime_ns == written
    assert [file.name for file in dataset.cache_file.parent.iterdir()] == [dataset.cache_file.name]


def test_a_damaged_cache_is_drawn_again() -> None:
    dataset = DrawNet(DrawNetOptions(train_images=28))
    dataset.cache_file.write_bytes(b"not an archive")
    train = dataset.splits()[0]
    assert same(dataset.images(train), dataset.draw(train))
    assert dataset.cache_file.stat().st_size > 1_000_000


def test_the_options_decide_the_cache_file_and_the_pictures() -> None:
    first, other_seed, more = (
        DrawNet(DrawNetOptions()),
        DrawNet(DrawNetOptions(seed=1)),
        DrawNet(DrawNetOptions(train_images=999)),
    )
    assert len({first.cache_file, other_seed.cache_file, more.cache_file}) == 3
    val = Split("id", "real", "val")
    assert not same(first.draw(val), other_seed.draw(val))
    assert same(first.draw(val), more.draw(val))


def test_the_cache_stands_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert DrawNet(DrawNetOptions()).cache_file.parent == tmp_path
    monkeypatch.delenv("FPRAY_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert DrawNet(DrawNetOptions()).cache_file.parent == tmp_path / "xdg" / "fpray"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert DrawNet(DrawNetOptions()).cache_file.parent == tmp_path / "home" / ".cache" / "fpray"


def share_near_signature(images: DrawnImages) -> float:
    """The share of images in which many saturated pixels near the middle have the class's signature hue."""
    hits = 0
    for pixels, label in zip(images.pixels, images.labels, strict=True):
        middle = pixels[9:23, 9:23].reshape(-1, 3) / 255
        hues = np.array([colorsys.rgb_to_hsv(*pixel) for pixel in middle])
        away = np.abs((hues[:, 0] - signature_hue(CLASSES[label]) + 0.5) % 1 - 0.5)
        hits += bool(np.mean((away < 0.05) & (hues[:, 1] > 0.25)) > 0.2)
    return hits / len(images)


def test_the_signature_colour_is_in_distribution_only(dataset: DrawNet) -> None:
    shares = {s.name: share_near_signature(dataset.images(s)) for s in dataset.splits() if s.part != "test"}
    assert shares.pop("id/train") > 0.4
    assert shares.pop("id/val") > 0.4
    assert max(shares.values()) < 0.25


def test_siblings_have_signature_colours_far_apart() -> None:
    for members in FAMILIES.values():
        hues = sorted(signature_hue(name) for name in members)
        assert min(b - a for a, b in zip(hues, hues[1:], strict=False)) >= 0.2
    assert len({round(signature_hue(name), 6) for name in CLASSES}) == len(CLASSES)


def test_templates_hold_one_place_for_the_class() -> None:
    assert all(template.count("{}") == 1 for template in DRAWNET_TEMPLATES)


def test_without_a_place_for_the_cache_it_is_drawn_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FPRAY_CACHE", str(tmp_path / "file" / "cache"))
    dataset = DrawNet(DrawNetOptions(train_images=1))
    assert len(dataset.images(dataset.splits()[0])) == 1
    assert not dataset.cache_file.exists()


def test_another_draw_has_other_pictures_in_splits_of_the_same_size() -> None:
    one, other = (DrawNet(DrawNetOptions(seeds=(seed,), train_images=60)) for seed in (0, 3))
    for split in one.splits():
        assert len(one.images(split)) == len(other.images(split))
        assert not np.array_equal(one.images(split).pixels, other.images(split).pixels)


def test_the_sizes_of_all_splits_may_be_given() -> None:
    sizes = {"train_images": 9, "val_images": 8, "test_images": 7, "ood_val_images": 6, "ood_test_images": 5}
    dataset = DrawNet(DrawNetOptions(**sizes))
    found = {split.name: len(dataset.images(split)) for split in dataset.splits()}
    assert {found["id/train"], found["id/val"], found["id/test"]} == {9, 8, 7}
    assert {found[f"ood/{style}/{part}"] for style in OOD_STYLES for part in ("val", "test")} == {6, 5}


def test_a_seed_of_an_earlier_file_is_the_only_draw() -> None:
    assert DrawNetOptions.model_validate({"seed": 5}).seeds == (5,)


def test_the_pretraining_images_are_the_shipped_models_own_and_cached() -> None:
    drawn, pairs = DrawNet(DrawNetOptions(seeds=(3,))).pretraining(), draw_pairs(PairsRecipe())
    cached = DrawNet(DrawNetOptions()).pretraining()
    assert len(drawn) == 3000 + 3 * 1500
    for images in (drawn, cached):
        assert np.array_equal(images.pixels, pairs.pixels) and set(images.labels) == {0}
        assert images.captions == [pairs.captions[number] for number in pairs.caption_of]
    (file,) = cache_folder().glob("*.npz")
    file.write_bytes(file.read_bytes()[:-100])
    assert same(DrawNet(DrawNetOptions()).pretraining(), drawn)
