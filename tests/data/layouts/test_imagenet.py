"""The ImageNet family, on made trees in the published layouts, against torchvision, timm and plain loops."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision.datasets.imagenet as torchvision_imagenet
import yaml
from open_clip import IMAGENET_CLASSNAMES
from PIL import Image
from torch import nn
from torchvision.datasets import ImageFolder

from fpray.config.file import check_sweep, dump_sweep
from fpray.data.base import Split
from fpray.data.encoded import ImageFiles
from fpray.data.folders import IMAGENET_TEMPLATES, position
from fpray.data.layouts.imagenet import ImageNet, ImageNetOptions
from fpray.model.classifier import Classifier
from fpray.model.reference import load_reference
from fpray.training.evaluate import Evaluator
from fpray.training.runtime import Runtime
from tests.data.imagenet_tree import (
    DEVKIT,
    KEPT,
    OBJECTS,
    RED,
    SHIFTS,
    V2,
    WNIDS,
    A,
    R,
    encoded,
    indices,
    make_family,
    make_flat,
    make_objectnet,
)


def read(section: dict[str, Any], **changed: Any) -> ImageNet:
    return ImageNet(ImageNetOptions.model_validate(section | changed))


def labels_by_path(*splits: ImageFiles) -> dict[str, int]:
    """The labels of some splits together, by path; no path may be there twice."""
    pairs = [(str(s.root / s.name_of(i)), int(s.labels[i])) for s in splits for i in range(len(s))]
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def whole(dataset: ImageNet, domain: str) -> dict[str, int]:
    return labels_by_path(*(dataset.images(Split("ood", domain, part)) for part in ("val", "test")))


def torchvisions(folder: Path, label_of: Callable[[str], int | None]) -> dict[str, int]:
    """The images that torchvision finds in a folder, with labels by the names of their folders; None leaves one out."""
    found = ImageFolder(str(folder))
    labels = {path: label_of(found.classes[target]) for path, target in found.samples}
    return {path: label for path, label in labels.items() if label is not None}


def by_wnid(among: Sequence[int]) -> Callable[[str], int | None]:
    places = {WNIDS[index]: place for place, index in enumerate(among)}
    return places.get


@pytest.fixture(scope="module")
def section(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return make_family(tmp_path_factory.mktemp("family"))


@pytest.fixture(scope="module")
def dataset(section: dict[str, Any]) -> ImageNet:
    return read(section)


@pytest.fixture(scope="module")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> ImageNet:
    """All 1000 classes, with one image in each folder."""
    root, image = tmp_path_factory.mktemp("thousand"), encoded(0, "JPEG")
    names = {"imagenet/train": WNIDS, V2: [str(i) for i in range(1000)]}
    names |= {R: [WNIDS[i] for i in indices("r")], A: [WNIDS[i] for i in indices("a")]}
    for folder, inner in names.items():
        for name in inner:
            (root / folder / name).mkdir(parents=True)
            (root / folder / name / "image.jpeg").write_bytes(image)
    make_flat(root, [999, 0, 500])
    make_objectnet(root / "objectnet-1.0", 2)
    return read({"root": str(root), "ood": ["v2", "r", "a", "objectnet"], "ood_val": 0.5})


def test_splits_come_in_their_order(dataset: ImageNet) -> None:
    assert [split.name for split in dataset.splits()] == [
        *("id/train", "id/val", "id/test"),
        *(f"ood/{domain}/{part}" for domain in SHIFTS for part in ("val", "test")),
    ]
    assert all(len(dataset.images(split)) > 0 for split in dataset.splits())


def test_classes_are_named_in_the_order_of_their_wnids(section: dict[str, Any], dataset: ImageNet) -> None:
    assert list(dataset.classes) == [IMAGENET_CLASSNAMES[index] for index in KEPT]
    assert dataset.classes[-1] == "banana"
    assert read(section, wnids=section["wnids"][::-1]).classes == dataset.classes
    assert dataset.templates == IMAGENET_TEMPLATES


def test_id_labels_are_those_of_torchvisions_folders(section: dict[str, Any], dataset: ImageNet) -> None:
    root = Path(section["root"]) / "imagenet"
    train, val, test = (dataset.images(Split("id", "imagenet", part)) for part in ("train", "val", "test"))
    assert labels_by_path(train, val) == torchvisions(root / "train", by_wnid(KEPT))
    assert labels_by_path(test) == torchvisions(root / "val", by_wnid(KEPT))
    inner = [[images.name_of(i).removeprefix("train/") for i in range(len(images))] for images in (train, val)]
    train, val = ([position(path, 0) for path in paths] for paths in inner)
    assert min(train) >= 0.3 > max(val)


def test_shifts_in_folders_by_wnid_are_labelled_among_their_own_classes(
    section: dict[str, Any], dataset: ImageNet
) -> None:
    root = Path(section["root"])
    among = {"r": [2, 6, 11, 100, 954], "a": [6, 11, 530, 954], "sketch": KEPT}
    for domain, folder in (("r", R), ("a", A), ("sketch", "sketch")):
        assert whole(dataset, domain) == torchvisions(root / folder, by_wnid(among[domain])), domain


def test_the_number_of_a_folder_of_v2_is_the_label_not_its_place(section: dict[str, Any], dataset: ImageNet) -> None:
    expected = torchvisions(Path(section["root"]) / V2, lambda name: {str(i): n for n, i in enumerate(KEPT)}.get(name))
    assert whole(dataset, "v2") == expected
    by_place = ImageFolder(str(Path(section["root"]) / V2)).samples
    assert any(expected[path] != place for path, place in by_place if path in expected)


def test_all_thousand_classes(thousand: ImageNet) -> None:
    root = Path(thousand.options.root)
    assert tuple(thousand.classes) == tuple(IMAGENET_CLASSNAMES)
    train, val, test = (thousand.images(Split("id", "imagenet", part)) for part in ("train", "val", "test"))
    assert labels_by_path(train, val) == dict(ImageFolder(str(root / "imagenet" / "train")).samples)
    assert list(test.labels) == [999, 0, 500]
    assert 5 <= len(val) <= 45  # 2 % of 1000
    assert whole(thousand, "v2") == torchvisions(root / V2, int)
    for domain, folder in (("r", R), ("a", A)):
        assert whole(thousand, domain) == dict(ImageFolder(str(root / folder)).samples)


def test_groups_of_r_and_a_are_timms_classes(thousand: ImageNet, dataset: ImageNet) -> None:
    for domain in ("r", "a"):
        groups = thousand.groups(Split("ood", domain, "test"))
        assert groups == tuple((index,) for index in indices(domain)) and len(groups) == 200
    assert dataset.groups(Split("ood", "a", "val")) == ((1,), (2,), (6,), (7,))
    for split in thousand.splits():
        assert (thousand.groups(split) is None) == (split.domain in ("imagenet", "v2"))
    assert dataset.groups(Split("ood", "sketch", "val")) is None


def test_objectnets_groups_are_those_of_its_mappings(thousand: ImageNet, dataset: ImageNet) -> None:
    mappings = Path(thousand.options.root) / "objectnet-1.0" / "mappings"
    label_of = json.loads((mappings / "folder_to_objectnet_label.json").read_text())
    names_of = json.loads((mappings / "objectnet_to_imagenet_1k.json").read_text())
    id_of = json.loads((mappings / "pytorch_to_imagenet_2012_id.json").read_text())
    lines = (mappings / "imagenet_to_label_2012_v2").read_text().splitlines()
    split, naive = Split("ood", "objectnet", "test"), {}
    for path, label in whole(thousand, "objectnet").items():
        names = names_of[label_of[Path(path).parent.name]].split("; ")
        ids = [lines.index(name) for name in names]
        naive[label] = {int(index) for index, number in id_of.items() if number in ids}
    groups = thousand.groups(split)
    assert groups is not None
    assert dict(enumerate(map(set, groups))) == naive == dict(enumerate(map(set, OBJECTS.values())))
    # Alarm clock, banana, and of the chairs the barber's alone; backpacks are not among the subset's classes.
    assert [{KEPT[c] for c in group} for group in dataset.groups(split) or ()] == [{409, 530}, {954}, {423}]
    folders = {Path(path).parent.name: label for path, label in whole(dataset, "objectnet").items()}
    assert folders == {"alarm_clock": 0, "banana": 1, "chair": 2}


def test_objectnets_red_border_is_cut_off(dataset: ImageNet) -> None:
    images = dataset.images(Split("ood", "objectnet", "val"))
    for index in range(len(images)):
        stored = Image.open(images.root / images.name_of(index))
        assert stored.size == (14, 16) and stored.getpixel((1, 1)) == stored.getpixel((12, 14)) == RED
        assert images[index].size == (10, 12)
        np.testing.assert_array_equal(np.asarray(images[index]), np.asarray(stored)[2:-2, 2:-2])


def test_accuracies_are_those_of_a_loop_over_the_allowed_classes(
    section: dict[str, Any], tiny_clip: str, alone: Runtime
) -> None:
    dataset = read(section, templates="a {}.")
    reference = load_reference(tiny_clip, None, dataset, torch.device("cpu"))
    torch.manual_seed(1)
    head = nn.Linear(reference.classifier.head.in_features, len(KEPT))
    classifier = Classifier(reference.classifier.encoder, head)
    by_folder = {index: {WNIDS[index], str(index)} for index in KEPT}
    objects = {i: label.lower().replace(" ", "_") for label, of in OBJECTS.items() for i in of}
    allowed = {"r": indices("r"), "a": indices("a"), "objectnet": list(objects)}
    masked = 0
    for split in dataset.splits():
        images, expected, unmasked = dataset.images(split), [], []
        for index in range(len(images)):
            with torch.no_grad():
                logits = classifier(reference.loaded.preprocess(images[index])[None])[0].tolist()
            ranked = [KEPT[place] for place in np.argsort(logits)[::-1]]
            best = next(c for c in ranked if c in allowed.get(split.domain, KEPT))
            names = {objects[best]} if split.domain == "objectnet" else by_folder[best]
            expected.append(Path(images.name_of(index)).parent.name in names)
            unmasked.append(ranked[0] == best)
        predictions = Evaluator(reference, [split], alone, None).predict(classifier)[split.name]
        assert predictions.images.correct.tolist() == expected, split.name
        masked += unmasked.count(False)
    assert masked > 0  # the mask decided somewhere


def test_flat_validation_images_are_labelled_by_the_devkit(
    section: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_flat(tmp_path, [954, 6, 7, 2, 999, 954, 409])
    folders = {"val": f"{tmp_path}/imagenet/val", "devkit": f"{tmp_path}/{DEVKIT}"}
    dataset = read(section, folders=folders)
    images = dataset.images(Split("id", "imagenet", "test"))

    archive = tmp_path / "ILSVRC2012_devkit_t12.tar.gz"
    with tarfile.open(archive, "w:gz") as packed:
        packed.add(tmp_path / DEVKIT, "ILSVRC2012_devkit_t12")
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    monkeypatch.setitem(torchvision_imagenet.ARCHIVE_META, "devkit", (archive.name, md5))
    torchvision_imagenet.parse_devkit_archive(tmp_path)
    _, wnids = torchvision_imagenet.load_meta_file(tmp_path)
    assert wnids == [WNIDS[i] for i in (954, 6, 7, 2, 999, 954, 409)]
    expected = {
        f"val/ILSVRC2012_val_{number:08}.JPEG": section["wnids"].index(wnid)
        for number, wnid in enumerate(wnids, 1)
        if wnid in section["wnids"]
    }
    assert {images.name_of(i): int(images.labels[i]) for i in range(len(images))} == expected
    assert list(expected.values()) == [7, 1, 0, 7, 4]


def test_an_images_split_depends_on_its_path_in_the_set_alone(
    section: dict[str, Any], dataset: ImageNet, tmp_path: Path
) -> None:
    shutil.copytree(Path(section["root"]) / "sketch", tmp_path / "elsewhere")
    moved = read(section, folders={"sketch": str(tmp_path / "elsewhere")}, ood=["sketch"])

    def inner(read: ImageNet) -> list[str]:
        images = read.images(Split("ood", "sketch", "val"))
        return [images.name_of(i).partition("/")[2] for i in range(len(images))]

    assert inner(moved) == inner(dataset)
    assert moved.images(Split("ood", "sketch", "val")).name_of(0).startswith("elsewhere/n")
    fewer = read(section, ood_val=0.2)
    assert set(inner(fewer)) < set(inner(dataset))


def test_the_same_images_are_given_every_time(dataset: ImageNet) -> None:
    for split in dataset.splits():  # what was found unreadable is noted in them
        assert dataset.images(split) is dataset.images(split)


def test_a_sweep_file_reads_back(tmp_path: Path) -> None:
    data = {"layout": "imagenet", "root": str(tmp_path), "folders": {"val": "imagenet/val_in_folder"}, "ood": ["v2"]}
    sweep = check_sweep({"name": "x", "data": data}, "x.yaml")
    assert isinstance(sweep.data, ImageNetOptions)
    assert sweep.data.folders.val == "imagenet/val_in_folder" and sweep.data.folders.train == "imagenet/train"
    assert sweep.data.ood == ("v2",) and sweep.data.id_val == 0.02 and sweep.data.ood_val == 0.1
    assert check_sweep(yaml.safe_load(dump_sweep(sweep)), "x.yaml") == sweep
