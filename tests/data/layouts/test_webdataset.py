"""WebDataset: what WebDataset itself reads, split in the same way always."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import webdataset
import yaml
from open_clip import IMAGENET_CLASSNAMES

from fpray.config.file import check_sweep, dump_sweep
from fpray.data.base import Split
from fpray.data.layouts.webdataset import ShardImages
from fpray.errors import UserError
from tests.data.shard_tree import CLASSES, encoded, make_shards, opened, sample, tar, train_images, write_shards

LISTED = r"must be the word imagenet, or a list of names \(numbers in quotes\)"
BRACES = r"is no pattern here; write it with braces, like train-{0000\.\.1281}\.tar"
TRAIN, VAL = Split("id", "id", "train"), Split("id", "id", "val")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FPRAY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def section(tmp_path: Path) -> dict[str, Any]:
    return make_shards(tmp_path / "shards")


def keys(images: ShardImages) -> list[str]:
    return [images.name_of(i).rpartition("/")[2] for i in range(len(images))]


def test_contents_and_labels_are_what_webdataset_reads(tmp_path: Path) -> None:
    shards = write_shards(tmp_path / "all", "a", range(50), 20)
    with webdataset.TarWriter(str(tmp_path / "all" / "b.tar")) as writer:
        for number, suffix in enumerate(["jpg", "jpeg", "webp", "png"], 50):
            one = sample(number, suffix)
            writer.write(one | {"__key__": f"deep/er/{one['__key__']}", "txt": "a caption", "json": {"label": 9}})
    images = train_images(*shards, str(tmp_path / "all" / "b.tar"))
    theirs = list(webdataset.WebDataset([*shards, str(tmp_path / "all" / "b.tar")], shardshuffle=False))
    assert len(images) == len(theirs) == 54
    for index, their in enumerate(theirs):
        assert images.read(index) == next(their[s] for s in ("jpg", "jpeg", "webp", "png") if s in their)
        assert images.labels[index] == int(their["cls"])
        assert images.name_of(index).endswith(f".tar/{their['__key__']}")
    decoded = webdataset.WebDataset(shards, shardshuffle=False).decode("pil").to_tuple("png", "cls")
    for index, (image, label) in enumerate(decoded):
        assert np.array_equal(images[index], image)
        assert images.labels[index] == label


def test_the_order_is_that_of_the_patterns(tmp_path: Path) -> None:
    write_shards(tmp_path, "a", range(12), 2)
    images = train_images(f"{tmp_path}/a-000{{5,{{0..2}}}}.tar", f"{tmp_path}/a-0003.tar")
    assert keys(images) == [f"{n:06d}" for n in (10, 11, 0, 1, 2, 3, 4, 5, 6, 7)]


def test_splits_are_the_shards_or_a_share_of_them(section: dict[str, Any]) -> None:
    dataset = opened(section)
    sizes = {split.name: len(dataset.images(split)) for split in dataset.splits()}
    assert list(sizes) == [
        "id/train",
        "id/val",
        "id/test",
        *(f"ood/{d}/{p}" for d in ("sketch", "clipart") for p in ("val", "test")),
    ]
    assert (sizes["id/test"], sizes["ood/clipart/val"], sizes["ood/clipart/test"]) == (12, 6, 9)
    train, val = (keys(dataset.images(split)) for split in (TRAIN, VAL))
    assert sorted(train + val) == [f"{n:06d}" for n in range(60)]
    assert (train, val) == (sorted(train), sorted(val))
    assert 3 <= len(val) <= 24
    sketch = [keys(dataset.images(Split("ood", "sketch", part))) for part in ("val", "test")]  # type: ignore[arg-type]
    assert sorted(sketch[0] + sketch[1]) == [f"{n:06d}" for n in range(200, 230)]
    assert dataset.images(TRAIN) is dataset.images(TRAIN)


def test_an_image_stays_in_its_split_in_another_place_and_when_others_come(
    tmp_path: Path, section: dict[str, Any]
) -> None:
    dataset = opened(section)
    val = set(keys(dataset.images(VAL)))
    shutil.copytree(tmp_path / "shards", tmp_path / "moved" / "deeper")
    write_shards(tmp_path / "moved" / "deeper", "train", range(75), 25)
    train = [f"{tmp_path}/moved/deeper/train-{{0000..0002}}.tar"]
    again = opened(section | {"id": section["id"] | {"train": train}})
    assert {key for key in keys(again.images(VAL)) if int(key) < 60} == val
    assert len(again.images(TRAIN)) + len(again.images(VAL)) == 75


def test_equal_keys_in_different_shards_are_split_apart(tmp_path: Path, section: dict[str, Any]) -> None:
    for shard in range(40):
        (tmp_path / f"k-{shard}.tar").write_bytes(tar([("0.png", encoded(shard)), ("0.cls", b"1")]))
    dataset = opened(section | {"id": section["id"] | {"train": [f"{tmp_path}/k-{{0..39}}.tar"]}})
    assert 1 <= len(dataset.images(VAL)) <= 20


@pytest.mark.parametrize(("share", "change"), [(1e-6, "raise"), (0.999999, "lower")])
def test_a_share_that_leaves_a_split_empty_is_an_error(share: float, change: str, section: dict[str, Any]) -> None:
    found = 0 if change == "raise" else 60
    said = f"data.id: of 60 images {found} fall in the validation split; {change} data.id_val, or give data.id.val"
    with pytest.raises(UserError, match=f"^{said}$"):
        opened(section | {"id_val": share}).images(TRAIN)


def test_classes_are_a_list_or_imagenets(section: dict[str, Any]) -> None:
    assert opened(section).classes == CLASSES
    assert opened(section | {"classes": "imagenet"}).classes == tuple(IMAGENET_CLASSNAMES)
    assert len(opened(section).templates) == 80


def test_a_label_out_of_range_is_named_with_shard_and_key(tmp_path: Path) -> None:
    shard = tmp_path / "a.tar"
    shard.write_bytes(tar([("1.png", encoded(1)), ("1.cls", b"2"), ("2.png", encoded(2)), ("2.cls", b"3")]))
    message = f"^data.id.train: the label of '{shard}/2' is 3, but there are 3 data.classes, numbered from 0$"
    with pytest.raises(UserError, match=message):
        train_images(str(shard))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": "imagnet"}, f"data.classes: {LISTED}"),
        ({"classes": {0: "cat", 1: "dog"}}, f"data.classes: {LISTED}"),
        ({"classes": None}, f"data.classes: {LISTED}"),
        ({"classes": [1, 2]}, f"data.classes: {LISTED}"),
        ({"classes": []}, "data.classes: is an empty list; leave it out or fill it"),
        ({"classes": ["cat"]}, "data.classes: one class leaves nothing to tell apart; name two or more"),
        ({"classes": ["cat", "cat"]}, "data.classes: 'cat' is there twice; name each once"),
        ({"classes": ["", ""]}, "data.classes.0: an empty name says nothing; write one"),
        ({"ood": {}}, "data.ood: give one domain or more, like {sketch: .*"),
        ({"ood": None}, "data.ood: give one domain or more, like {sketch: .*"),
        ({"ood": {"a b": {"test": "x.tar"}}}, "data.ood: 'a b' can't name a domain; use letters, digits, .*"),
        ({"ood": {"a": {"test": "x.tar", "train": "y.tar"}}}, r"data.ood.a: unknown key 'train'; known are: test, val"),
        ({"id": {"train": "x.tar"}}, "data.id.test: field required"),
        ({"id": {"train": "x-{00..9.tar", "test": "y.tar"}}, "data.id.train: a brace is missing in 'x-{00..9.tar'; .*"),
        ({"id": {"train": [], "test": "y.tar"}}, "data.id.train: is an empty list; leave it out or fill it"),
        (
            {"id": {"train": "s3://b/x-{0..3}.tar", "test": "s3://b/x-2.tar"}},
            "data: 's3://b/x-2.tar' is named twice, in id.train and in id.test; name it once",
        ),
        (
            {"id": {"train": ["x-{0..3}.tar", "{w..x}-2.tar"], "test": "y.tar"}},
            "data: '.*/x-2.tar' is named twice in id.train; name it once",
        ),
        ({"id": {"train": "train-*.tar", "test": "y.tar"}}, f"data.id.train: 'train-[*].tar' {BRACES}"),
        ({"id": {"train": "x-{0..1}.tar", "test": "y-{0::2}.tar"}}, f"data.id.test: 'y-{{0::2}}.tar' {BRACES}"),
        ({"id": {"train": "pipe:cat x.tar", "test": "y.tar"}}, "data.id.train: 'pipe:cat x.tar' is a command, .*"),
        ({"id": {"train": "~nobodyhere/x.tar", "test": "y.tar"}}, "data.id.train: nobody has the home folder '.*'"),
        ({"id_val": 1.0}, "data.id_val: must be a share between 0 and 1, not 1.0"),
    ],
)
def test_a_wrong_option_is_named(changes: dict[str, Any], message: str, section: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"^s: {message}$"):
        opened(section | changes)


def test_local_patterns_become_absolute_and_others_stay(
    tmp_path: Path, section: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/x")
    written = section | {"id": {"train": ["a/../b-{0..3}.tar", "~/c.tar"], "test": "s3://bucket/d.tar"}}
    sweep = check_sweep({"name": "s", "data": written}, "s")
    assert sweep.data.id.train == (f"{tmp_path}/b-{{0..3}}.tar", "/home/x/c.tar")  # type: ignore[attr-defined]
    assert sweep.data.id.test == ("s3://bucket/d.tar",)  # type: ignore[attr-defined]
    monkeypatch.chdir("/")
    assert check_sweep(yaml.safe_load(dump_sweep(sweep)), "s") == sweep
