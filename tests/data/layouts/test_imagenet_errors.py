"""Mistakes with the ImageNet family: one sentence, which says where a folder or file was looked for."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scipy.io import savemat

from fpray.config.file import check_sweep
from fpray.data.base import Split
from fpray.data.layouts.imagenet import ImageNet, ImageNetOptions
from fpray.errors import UserError
from tests.data.imagenet_tree import DEVKIT, V2, WNIDS, A, R, make_family, make_flat


def read(section: dict[str, Any], **changed: Any) -> ImageNet:
    return ImageNet(ImageNetOptions.model_validate(section | changed))


@pytest.fixture(scope="module")
def section(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A whole family with one image in each folder."""
    return make_family(tmp_path_factory.mktemp("small"), count=1)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"root": None}, "data.root"),
        ({"ood": []}, "data.ood"),
        ({"ood": ["v2", "r", "v2"]}, "data.ood: 'v2' is there twice"),
        ({"ood": ["sketchy"]}, "data.ood: unknown set 'sketchy'; did you mean 'sketch'?"),
        ({"folders": {"vall": "x"}}, "data.folders: unknown key 'vall'; did you mean 'val'?"),
        ({"wnids": ["n01443537", "n1443538"]}, "data.wnids: 'n1443538' is not one of ImageNet's 1000 wnids; did you"),
        ({"wnids": ["n01443537", "tench"]}, "data.wnids: 'tench' is not one of ImageNet's 1000 wnids"),
        ({"wnids": ["n01443537", "n01443537"]}, "data.wnids: 'n01443537' is there twice"),
        ({"wnids": ["n01443537"]}, "data.wnids: one class"),
        ({"templates": ["a photo"]}, "data.templates"),
        ({"id_val": 0}, "data.id_val"),
        ({"ood_val": 1}, "data.ood_val"),
    ],
)
def test_wrong_options_are_one_sentence(changed: dict[str, Any], words: str) -> None:
    data = {"layout": "imagenet", "root": "x"} | changed
    with pytest.raises(UserError) as caught:
        check_sweep({"name": "x", "data": data}, "x.yaml")
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300  # not all 1000 wnids


@pytest.fixture(scope="module")
def flat(section: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with validation images as they are published."""
    root = tmp_path_factory.mktemp("flat")
    shutil.copytree(section["root"], root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("val"))
    make_flat(root, [2, 6, 954])
    return root


def remove(root: Path, at: str) -> None:
    shutil.rmtree(root / at) if (root / at).is_dir() else (root / at).unlink()


def replace(root: Path, at: str, content: str | bytes) -> None:
    (root / at).write_bytes(content if isinstance(content, bytes) else content.encode())


ON = "objectnet-1.0/mappings"
BROKEN: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no train": (lambda r: remove(r, "imagenet/train"), "data.folders.train: {root}/imagenet/train"),
    "no val": (lambda r: remove(r, "imagenet/val"), "data.folders.val: {root}/imagenet/val"),
    "no v2": (lambda r: remove(r, V2), f"data.folders.v2: {{root}}/{V2}"),
    "no a": (lambda r: remove(r, A), f"data.folders.a: {{root}}/{A}"),
    "no objectnet": (lambda r: remove(r, "objectnet-1.0"), "data.folders.objectnet: {root}/objectnet-1.0/images"),
    "a class is missing": (
        lambda r: remove(r, f"imagenet/train/{WNIDS[6]}"),
        f"data.folders.train: {{root}}/imagenet/train lacks {WNIDS[6]} 8 data.wnids",
    ),
    "classes of v2 are missing": (
        lambda r: (remove(r, f"{V2}/2"), remove(r, f"{V2}/954")),
        "data.folders.v2: lacks 2 1 more 8",
    ),
    "an object is missing": (
        lambda r: remove(r, "objectnet-1.0/images/banana"),
        "data.folders.objectnet: {root}/objectnet-1.0/images lacks banana",
    ),
    "no wnid": (lambda r: (r / "sketch" / "tench").mkdir(), "data.folders.sketch: {root}/sketch/tench wnid"),
    "not among the 200": (lambda r: (r / R / WNIDS[0]).mkdir(), f"data.folders.r: {{root}}/{R}/{WNIDS[0]} 200"),
    "no number": (lambda r: (r / V2 / "1000").mkdir(), f"data.folders.v2: {{root}}/{V2}/1000 999"),
    "a number with a zero before": (lambda r: (r / V2 / "007").mkdir(), f"data.folders.v2: {{root}}/{V2}/007 999"),
    "no object": (
        lambda r: (r / "objectnet-1.0/images/tench").mkdir(),
        "data.folders.objectnet: {root}/objectnet-1.0/images/tench mappings",
    ),
    "no mapping": (
        lambda r: remove(r, f"{ON}/imagenet_to_label_2012_v2"),
        f"data.folders.objectnet: {{root}}/{ON}/imagenet_to_label_2012_v2",
    ),
    "a damaged mapping": (
        lambda r: replace(r, f"{ON}/folder_to_objectnet_label.json", '{"a": "A"'),
        f"data.folders.objectnet: {{root}}/{ON}/folder_to_objectnet_label.json damaged",
    ),
    "a mapping of another kind": (
        lambda r: replace(r, f"{ON}/objectnet_to_imagenet_1k.json", '{"Banana": [1]}'),
        f"data.folders.objectnet: {{root}}/{ON}/objectnet_to_imagenet_1k.json damaged",
    ),
    "a label without a folder": (
        lambda r: replace(r, f"{ON}/objectnet_to_imagenet_1k.json", '{"Pear": "thing 2, other name of 2"}'),
        f"data.folders.objectnet: {{root}}/{ON}/objectnet_to_imagenet_1k.json damaged Pear",
    ),
    "a name that is no class": (
        lambda r: replace(r, f"{ON}/objectnet_to_imagenet_1k.json", '{"Banana": "thing 2; thing 3"}'),
        f"data.folders.objectnet: {{root}}/{ON}/objectnet_to_imagenet_1k.json damaged 'thing",
    ),
    "ids that are not 1000": (
        lambda r: replace(r, f"{ON}/pytorch_to_imagenet_2012_id.json", '{"0": 0}'),
        f"data.folders.objectnet: {{root}}/{ON}/pytorch_to_imagenet_2012_id.json damaged 999",
    ),
    "lines that are not 1000": (
        lambda r: replace(r, f"{ON}/imagenet_to_label_2012_v2", "tench\n"),
        f"data.folders.objectnet: {{root}}/{ON}/imagenet_to_label_2012_v2 damaged 1 1000",
    ),
    "lines that are no text": (
        lambda r: replace(r, f"{ON}/imagenet_to_label_2012_v2", b"\xff\xfe"),
        f"data.folders.objectnet: {{root}}/{ON}/imagenet_to_label_2012_v2 damaged",
    ),
}
TRUTH, META = f"{DEVKIT}/data/ILSVRC2012_validation_ground_truth.txt", f"{DEVKIT}/data/meta.mat"
BROKEN_FLAT: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no devkit": (lambda r: remove(r, DEVKIT), f"data.folders.devkit: {{root}}/{META}"),
    "no ground truth": (lambda r: remove(r, TRUTH), f"data.folders.devkit: {{root}}/{TRUTH}"),
    "meta.mat is cut": (lambda r: replace(r, META, (r / META).read_bytes()[:-9]), f"{{root}}/{META} damaged"),
    "meta.mat is empty": (lambda r: replace(r, META, b""), f"{{root}}/{META} damaged"),
    "meta.mat has no synsets": (lambda r: savemat(r / META, {"x": 1}), f"{{root}}/{META} damaged"),
    "a line is no number": (
        lambda r: replace(r, TRUTH, "1\ntwo\n3\n"),
        f"data.folders.devkit: {{root}}/{TRUTH} damaged",
    ),
    "a line is no id": (lambda r: replace(r, TRUTH, "1\n1001\n3\n"), f"data.folders.devkit: {{root}}/{TRUTH} damaged"),
    "a line too few": (lambda r: replace(r, TRUTH, "1\n2\n"), "data.folders.val: {root}/imagenet/val 3 images 2"),
    "another image": (
        lambda r: (r / "imagenet/val/ILSVRC2012_val_00000002.JPEG").rename(r / "imagenet/val/cat.JPEG"),
        "data.folders.val: {root}/imagenet/val/ ILSVRC2012_val_00000002",
    ),
}


def told(root: Path, section: dict[str, Any], words: str) -> None:
    """Reading the sets must fail in one sentence with all these words, before any image is asked for by index."""
    dataset = read(section, root=str(root))
    with pytest.raises(UserError) as caught:
        for split in dataset.splits():
            if split.role == "id" and split.part == "test":
                dataset.images(split)
    message = str(caught.value)
    assert all(word in message for word in words.format(root=root).split()), message
    assert "\n" not in message and len(message) - message.count(str(root)) * len(str(root)) < 300


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_wrong_in_the_sets_is_told(case: str, section: dict[str, Any], tmp_path: Path) -> None:
    shutil.copytree(section["root"], tmp_path, dirs_exist_ok=True)
    breaks, words = BROKEN[case]
    breaks(tmp_path)
    told(tmp_path, section, words)


@pytest.mark.parametrize("case", BROKEN_FLAT)
def test_what_is_wrong_in_flat_validation_images_is_told(
    case: str, flat: Path, section: dict[str, Any], tmp_path: Path
) -> None:
    shutil.copytree(flat, tmp_path, dirs_exist_ok=True)
    breaks, words = BROKEN_FLAT[case]
    breaks(tmp_path)
    told(tmp_path, section, words)


def test_a_subset_without_a_shifts_classes_is_told(section: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"data\.ood: 'a' has none of the classes in data\.wnids; leave it out"):
        read(section, wnids=[WNIDS[2], WNIDS[100]]).splits()


def test_without_wnids_every_class_must_be_there(section: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"data\.folders\.train: .* lacks 'n01440764' and 990 more of its 1000 folders"):
        read(section, wnids=None).splits()


def test_a_share_without_images_is_told(section: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"data\.ood_val: 0\.001 of 8 images leaves ood/v2/val without any"):
        read(section, ood_val=0.001).images(Split("ood", "v2", "test"))
