"""Mistakes with images in folders, in trees of domains, DomainNet and the ImageNet family."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fpray.config.file import check_sweep
from fpray.data import Dataset, Split, open_dataset
from fpray.data.check import check_split
from fpray.data.layouts.imagenet import ImageNet
from fpray.data.objectnet import BorderlessImages
from fpray.errors import UserError
from tests.data import trees
from tests.data.imagenet_tree import WNIDS, make_family


def opened(section: dict[str, Any], **changes: Any) -> Dataset:
    data = check_sweep({"name": "s", "data": section | changes}, "s").data
    return open_dataset(data)


def complaint(section: dict[str, Any], **changes: Any) -> str:
    """The message of the error, which is a single sentence."""
    with pytest.raises(UserError) as caught:
        dataset = opened(section, **changes)
        for split in dataset.splits():
            dataset.images(split)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def domains(tmp_path: Path) -> dict[str, Any]:
    return trees.domains(tmp_path)


@pytest.fixture
def domainnet(tmp_path: Path) -> dict[str, Any]:
    return trees.domainnet(tmp_path) | {"ood": "sketch"}


def test_one_class_is_refused(domains: dict[str, Any], tmp_path: Path) -> None:
    said = "s: data.classes: one class leaves nothing to tell apart; name two or more"
    assert complaint(domains, classes="dog") == said
    assert complaint(domains, classes={"dog": "hound"}) == said
    trees.make_images(tmp_path / "one", {"photo/dog": 1, "sketch/dog": 1})
    assert complaint(domains, root=str(tmp_path / "one")) == (
        f"data.id: '{tmp_path}/one/photo' has one class, 'dog', which leaves nothing to tell apart; add others"
    )


def test_one_class_of_domainnet_is_refused(domainnet: dict[str, Any], tmp_path: Path) -> None:
    said = "s: data.classes: one class leaves nothing to tell apart; name two or more"
    assert complaint(domainnet, classes="airplane") == said
    for file in tmp_path.glob("*.txt"):
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join(line for line in lines if "/airplane/" in line))
    assert complaint(domainnet).startswith(f"data.root: the lists in '{tmp_path}' have one class, which leaves")


def test_an_empty_prompt_name_is_refused(domains: dict[str, Any]) -> None:
    said = "s: data.classes.dog: an empty name says nothing; write one"
    assert complaint(domains, classes={"dog": "", "giraffe": "giraffe"}) == said


@pytest.mark.parametrize("inside", ["photo/dog", "lists"])
def test_a_folder_that_is_no_domain_is_to_be_removed(inside: str, domains: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "__MACOSX" / inside).mkdir(parents=True)
    assert complaint(domains) == (
        f"data.ood: '{tmp_path}/__MACOSX' has none of the class folders; remove it, or list the domains in data.ood"
    )


def test_what_is_left_out_is_remarked(domains: dict[str, Any], tmp_path: Path) -> None:
    assert opened(domains).remarks() == []
    (tmp_path / "photo/dog/moving.gif").touch()
    (tmp_path / "sketch/dog/more").mkdir()
    dataset = opened(domains)
    dataset.splits()
    (remark,) = dataset.remarks()
    assert remark.startswith("1 file and 1 folder in class folders are left out, being no files that end in .jpg, ")
    assert remark.endswith(": photo/dog/moving.gif, sketch/dog/more/")


def test_a_pipe_named_like_an_image_is_not_waited_for(domains: dict[str, Any], tmp_path: Path) -> None:
    train = Split("id", "photo", "train")
    before = len(opened(domains).images(train))
    for number in range(20):
        os.mkfifo(tmp_path / f"photo/dog/pipe{number}.png")
    assert check_split(opened(domains), train, None).decoded == before


def test_an_empty_list_is_named(domainnet: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "real_train.txt").write_text("\n")
    assert complaint(domainnet) == f"data.root: the list '{tmp_path}/real_train.txt' is empty; download it again"


def test_a_list_may_begin_with_a_byte_order_mark(domainnet: dict[str, Any], tmp_path: Path) -> None:
    split = Split("id", "real", "test")
    before = opened(domainnet).images(split)
    file = tmp_path / "real_test.txt"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    after = opened(domainnet).images(split)
    assert [after.name_of(i) for i in range(len(after))] == [before.name_of(i) for i in range(len(before))]


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_path_that_is_listed_twice_is_named(part: str, domainnet: dict[str, Any], tmp_path: Path) -> None:
    first, again = tmp_path / f"sketch_{part}.txt", tmp_path / "sketch_test.txt"
    line = first.read_text().splitlines()[0]
    again.write_text(again.read_text() + line)
    assert complaint(domainnet) == (
        f"data.root: '{line.split(' ')[0]}' is listed in '{first}' and again in '{again}'; remove one line"
    )


def test_an_empty_folder_of_a_set_is_named_with_its_key(tmp_path: Path) -> None:
    section = make_family(tmp_path, count=1) | {"ood": "sketch"}
    folder = tmp_path / "sketch" / WNIDS[6]
    (folder / "sketch_0.JPEG").rename(folder / "sketch_0.gif")
    said = complaint(section)
    assert said.startswith(f"data.folders.sketch: '{folder}' has no images (.jpg, ")
    assert said.endswith("); unpack the whole set there")


def test_what_is_left_out_of_a_set_is_remarked(tmp_path: Path) -> None:
    section = make_family(tmp_path, count=6) | {"ood": "sketch"}
    (tmp_path / "sketch" / WNIDS[6] / "notes.txt").touch()
    dataset = opened(section)
    assert dataset.remarks() == []
    dataset.images(Split("ood", "sketch", "test"))
    (remark,) = dataset.remarks()
    assert remark.endswith(f": sketch/{WNIDS[6]}/notes.txt")


def test_a_sets_folder_may_be_below_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    dataset = opened({"layout": "imagenet", "root": "/data", "folders": {"v2": "~/x"}})
    assert isinstance(dataset, ImageNet)
    assert dataset.options.folders.v2 == f"{tmp_path}/x"
    said = complaint({"layout": "imagenet", "root": "/data", "folders": {"v2": "~nobodyhere/x"}})
    assert said == "s: data.folders.v2: nobody has the home folder '~nobodyhere'"


@pytest.mark.parametrize("side", [3, 4])
def test_an_objectnet_image_of_border_alone_is_unreadable(side: int, tmp_path: Path) -> None:
    names = [f"{number:03d}.png" for number in range(100)]
    for name in names:
        Image.new("RGB", (side if name == "007.png" else 5, 5)).save(tmp_path / name)
    images = BorderlessImages(tmp_path, names, [0] * 100)
    assert images[0].size == (1, 1)
    with pytest.raises(Exception, match=r"^007\.png: nothing is inside its border$"):
        images[7]
    assert images.unreadable is not None and images.unreadable.nonzero().flatten().tolist() == [7]
