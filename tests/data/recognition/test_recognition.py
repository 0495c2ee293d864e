"""What lies in a folder tells the layout, the ID domain and the classes."""

from __future__ import annotations

from pathlib import Path

import pytest

from fpray.data import Recognised, recognise
from fpray.data.recognition.webdataset import patterns
from fpray.errors import UserError
from tests.data.imagenet_tree import KEPT, WNIDS
from tests.data.shard_tree import CLASSES, write_shards
from tests.data.trees import TREES, make_images


def of_tree(layout: str, root: Path) -> Recognised:
    TREES[layout](root)
    return recognise(root)


def test_the_domain_with_the_most_images_is_id(tmp_path: Path) -> None:
    found = of_tree("domains", tmp_path)
    expected = {"layout": "domains", "root": str(tmp_path), "id": "photo", "ood": ["art painting", "sketch"]}
    assert found.options == expected
    assert found.remarks.keys() == {"id"}


def test_folders_without_the_classes_are_no_domains(tmp_path: Path) -> None:
    make_images(tmp_path, {"photo/cat": 3, "photo/dog": 3, "sketch/cat": 2, "sketch/dog": 1, "extra/notes": 1})
    (tmp_path / "scripts").mkdir()
    assert recognise(tmp_path).options["ood"] == ["sketch"]


def test_classes_that_are_not_usable_are_left_out(tmp_path: Path) -> None:
    make_images(tmp_path, {"photo/cat": 3, "photo/dog": 3, "photo/cow": 3, "sketch/cat": 2, "sketch/dog": 1})
    make_images(tmp_path, {"sketch/horse": 1, "photo/empty": 0, "sketch/cow": 0})
    found = recognise(tmp_path)
    assert found.options["classes"] == ["cat", "dog"]
    assert found.remarks["classes"] == "the folders of photo; left out are cow, empty, horse"


@pytest.mark.parametrize("folders", [{"photo/cat": 3, "photo/dog": 3}, {"photo/cat": 3, "sketch/cat": 3}, {}])
def test_one_domain_or_one_class_is_too_few(folders: dict[str, int], tmp_path: Path) -> None:
    make_images(tmp_path, folders)
    with pytest.raises(UserError, match="no layout that fpray knows"):
        recognise(tmp_path)


def test_domainnet_is_told_by_its_lists(tmp_path: Path) -> None:
    found = of_tree("domainnet", tmp_path)
    assert found.options["layout"] == "domainnet"
    assert found.options["id"] == "real"
    assert sorted(found.options["ood"]) == ["clipart", "infograph", "painting", "quickdraw", "sketch"]
    assert "3 classes" in found.seen
    for name in ("real_test.txt", "quickdraw_train.txt"):
        (tmp_path / name).unlink()
    found = recognise(tmp_path)
    assert found.options["id"] == "sketch"
    assert sorted(found.options["ood"]) == ["clipart", "infograph", "painting"]


def test_imagenets_sets_and_classes_are_those_that_are_there(tmp_path: Path) -> None:
    found = of_tree("imagenet", tmp_path)
    assert found.options["ood"] == ["v2", "r", "a", "sketch", "objectnet"]
    assert found.options["wnids"] == sorted(WNIDS[index] for index in (*KEPT, 7))
    assert "folders" not in found.options
    (tmp_path / "imagenet-r").rename(tmp_path / "elsewhere")
    assert recognise(tmp_path).options["ood"] == ["v2", "a", "sketch", "objectnet"]
    assert "not found: r" in recognise(tmp_path).remarks["ood"]


def test_imagenet_may_lie_in_the_folder_itself(tmp_path: Path) -> None:
    TREES["imagenet"](tmp_path)
    for part in ("train", "val"):
        (tmp_path / "imagenet" / part).rename(tmp_path / part)
    assert recognise(tmp_path).options["folders"] == {"train": "train", "val": "val", "devkit": "ILSVRC2012_devkit_t12"}


def test_shards_are_told_by_their_paths(tmp_path: Path) -> None:
    found = of_tree("webdataset", tmp_path)
    assert found.options["id"] == {
        "train": [f"{tmp_path}/train-{{0000..0002}}.tar"],
        "test": [f"{tmp_path}/test-0000.tar"],
    }
    assert found.options["ood"] == {
        "clipart": {"val": [f"{tmp_path}/clipart/val-0000.tar"], "test": [f"{tmp_path}/clipart/test-0000.tar"]},
        "sketch": {"test": [f"{tmp_path}/sketch/test-{{0000..0002}}.tar"]},
    }
    assert found.options["classes"] == ["class 0", "class 1", "class 2"]
    assert found.remarks["classes"].startswith("EDIT")
    (tmp_path / "classnames.txt").write_text("\n".join(CLASSES) + "\n")
    assert recognise(tmp_path).options["classes"] == [*CLASSES]


def test_shards_may_have_the_domain_in_their_names(tmp_path: Path) -> None:
    for name in ("photo-train", "photo-test", "my_sketch-test", "photo-validation"):
        write_shards(tmp_path / "all", name, range(6), 6)
    options = recognise(tmp_path / "all").options
    assert options["id"].keys() == {"train", "val", "test"}
    assert options["ood"].keys() == {"my_sketch"}
    assert recognise(tmp_path).options["ood"].keys() == {"all-my_sketch"}


def test_shards_without_an_ood_domain_are_not_enough(tmp_path: Path) -> None:
    for name in ("train", "test"):
        write_shards(tmp_path, name, range(6), 6)
    with pytest.raises(UserError, match="found the files test-0000.tar, train-0000.tar"):
        recognise(tmp_path)


@pytest.mark.parametrize(
    ("names", "written"),
    [
        (["a-00.tar", "a-01.tar", "a-02.tar"], ["a-{00..02}.tar"]),
        ([f"a-{number}.tar" for number in range(8, 12)], ["a-{8..11}.tar"]),
        (["a-00.tar", "a-02.tar"], ["a-00.tar", "a-02.tar"]),
        (["a-00.tar", "b-01.tar"], ["a-00.tar", "b-01.tar"]),
        (["a-0.tar"], ["a-0.tar"]),
        (["a.tar", "b.tar"], ["a.tar", "b.tar"]),
    ],
)
def test_consecutive_numbers_are_one_pattern(names: list[str], written: list[str]) -> None:
    assert patterns([Path(name) for name in names]) == written
