"""DomainNet: labels and test splits are the official lists', and a wrong line is named."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fpray.config.file import check_sweep, dump_sweep, read_sweep
from fpray.data.base import Split
from fpray.data.folders import IMAGENET_TEMPLATES, position
from fpray.data.layouts.domainnet import (
    DomainNet,
    OfficialLabels,
    read_list,
)
from fpray.errors import UserError
from tests.data import trees

ALL = ("clipart", "infograph", "painting", "quickdraw", "real", "sketch")


def opened(section: dict[str, Any], **changes: Any) -> DomainNet:
    data = check_sweep({"name": "s", "data": section | changes}, "s").data
    return DomainNet(data)  # type: ignore[arg-type]


def complaint(section: dict[str, Any], **changes: Any) -> str:
    """The message of the error, which is a single sentence."""
    with pytest.raises(UserError) as caught:
        opened(section, **changes).splits()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def by_path(dataset: DomainNet, *splits: str) -> dict[str, int]:
    """Labels by path, of the splits named."""
    found = {}
    for split in dataset.splits():
        if split.name in splits:
            images = dataset.images(split)
            found |= {images.name_of(i): int(images.labels[i]) for i in range(len(images))}
    return found


def listed(file: Path) -> dict[str, int]:
    return {path: int(label) for path, label in (line.split(" ") for line in file.read_text().splitlines())}


def replace_line(file: Path, number: int, line: str) -> None:
    lines = file.read_text().splitlines()
    lines[number - 1] = line
    file.write_text("\n".join(lines) + "\n")


@pytest.fixture
def section(tmp_path: Path) -> dict[str, Any]:
    return trees.domainnet(tmp_path)


@pytest.fixture
def tree(tmp_path: Path, section: dict[str, Any]) -> Path:
    return tmp_path


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """For tests that change nothing in the tree."""
    return trees.domainnet(tmp_path_factory.mktemp("shared"))


def test_splits_are_those_of_the_six_domains(shared: dict[str, Any]) -> None:
    names = [split.name for split in opened(shared).splits()]
    ood = [name for name in ALL if name != "real"]
    assert names == ["id/train", "id/val", "id/test"] + [f"ood/{d}/{part}" for d in ood for part in ("val", "test")]
    assert {split.domain for split in opened(shared).splits()[:3]} == {"real"}
    changed = opened(shared, id="sketch", ood=["real", "clipart"]).splits()
    assert [split.domain for split in changed] == ["sketch"] * 3 + ["real"] * 2 + ["clipart"] * 2


def test_several_id_domains_are_one(shared: dict[str, Any]) -> None:
    dataset, alone = opened(shared, id=["real", "sketch"]), {d: opened(shared, id=d) for d in ("real", "sketch")}
    assert [split.name for split in dataset.splits()][:5] == [
        "id/train", "id/val", "id/test", "ood/clipart/val", "ood/clipart/test"
    ]  # fmt: skip
    assert {split.domain for split in dataset.splits() if split.role == "id"} == {"real+sketch"}
    assert not [split for split in dataset.splits() if split.name.startswith("ood/sketch")]
    for part in ("train", "val", "test"):
        apart = [by_path(own, f"id/{part}") for own in alone.values()]
        assert by_path(dataset, f"id/{part}") == apart[0] | apart[1]
    with pytest.raises(UserError, match="data.ood: 'sketch' is the ID domain"):
        opened(shared, id=["real", "sketch"], ood=["sketch"])


def test_test_splits_are_the_whole_test_lists(shared: dict[str, Any]) -> None:
    tree = Path(shared["root"])
    dataset = opened(shared)
    assert by_path(dataset, "id/test") == listed(tree / "real_test.txt")
    for domain in set(ALL) - {"real"}:
        assert by_path(dataset, f"ood/{domain}/test") == listed(tree / f"{domain}_test.txt")


def test_validation_images_are_a_share_of_the_train_lists(shared: dict[str, Any]) -> None:
    tree = Path(shared["root"])
    dataset = opened(shared, id_val=0.2, ood_val=0.4)
    train, val = by_path(dataset, "id/train"), by_path(dataset, "id/val")
    assert train | val == listed(tree / "real_train.txt")
    assert len(train) + len(val) == 90
    assert all(position(path, 0) < 0.2 for path in val)
    assert all(position(path, 0) >= 0.2 for path in train)
    for domain in set(ALL) - {"real"}:
        lines = listed(tree / f"{domain}_train.txt")
        assert by_path(dataset, f"ood/{domain}/val") == {p: y for p, y in lines.items() if position(p, 0) < 0.4}


def test_images_come_in_the_order_of_the_lists(tree: Path, section: dict[str, Any]) -> None:
    file = tree / "sketch_test.txt"
    lines = file.read_text().splitlines()[::-1]
    file.write_text("\n".join(lines))
    images = opened(section).images(Split("ood", "sketch", "test"))
    assert [f"{images.name_of(i)} {images.labels[i]}" for i in range(len(images))] == lines


def test_an_image_is_the_file_of_its_path(shared: dict[str, Any]) -> None:
    images = opened(shared).images(Split("id", "real", "test"))
    for index in range(0, len(images), 4):
        with Image.open(images.root / images.name_of(index)) as stored:
            assert np.array_equal(images[index], stored)


def test_lists_may_have_blanks_and_windows_line_ends(tree: Path, section: dict[str, Any]) -> None:
    expected = by_path(opened(section), "ood/sketch/test")
    file = tree / "sketch_test.txt"
    file.write_bytes(file.read_bytes().replace(b"\n", b" \r\n") + b"\r\n \r\n")
    assert by_path(opened(section), "ood/sketch/test") == expected


def test_prompts_say_the_folders_names_with_spaces(shared: dict[str, Any]) -> None:
    dataset = opened(shared)
    assert dataset.classes == ("aircraft carrier", "airplane", "alarm clock")
    assert dataset.templates == IMAGENET_TEMPLATES
    assert opened(shared, templates=["a {}."]).templates == ("a {}.",)


def test_chosen_classes_are_renumbered_in_the_official_order(shared: dict[str, Any]) -> None:
    dataset = opened(shared, classes=["alarm_clock", "aircraft_carrier"], ood_val=0.5)
    assert dataset.classes == ("aircraft carrier", "alarm clock")
    labels = {"aircraft_carrier": 0, "alarm_clock": 1}
    found = by_path(dataset, *(split.name for split in dataset.splits()))
    assert {path.split("/")[1] for path in found} == labels.keys()
    assert all(labels[path.split("/")[1]] == label for path, label in found.items())
    assert len(by_path(dataset, "id/test")) == 10
    assert len(by_path(dataset, "id/train", "id/val")) == 60


def test_official_labels_need_not_be_alphabetical(tree: Path, section: dict[str, Any]) -> None:
    for file in tree.glob("*.txt"):
        swapped = file.read_text().replace(".jpg 0\n", ".jpg 344\n")
        file.write_text(swapped)
    dataset = opened(section)
    assert dataset.classes == ("airplane", "alarm clock", "aircraft carrier")
    assert set(by_path(dataset, "id/test").values()) == {0, 1, 2}
    assert by_path(dataset, "id/test")["real/aircraft_carrier/real_000_000100.jpg"] == 2


def test_images_are_not_looked_up_and_lists_are_read_once(tree: Path, section: dict[str, Any]) -> None:
    shutil.rmtree(tree / "real" / "airplane")
    (tree / "real" / "airplane").mkdir()
    dataset = opened(section)
    splits = dataset.splits()
    assert len(dataset.images(splits[2])) == 15
    shutil.rmtree(tree)
    assert dataset.splits() == splits
    assert dataset.images(splits[2]) is dataset.images(splits[2])


def test_options_read_back(shared: dict[str, Any], tmp_path: Path) -> None:
    sweep = check_sweep({"name": "s", "data": shared | {"ood": "sketch", "classes": ["airplane", "alarm_clock"]}}, "s")
    (tmp_path / "s.yaml").write_text(dump_sweep(sweep))
    assert read_sweep(tmp_path / "s.yaml") == sweep
    defaults = check_sweep({"name": "s", "data": {"layout": "domainnet", "root": "/data"}}, "s").data
    assert defaults.model_dump() == {
        "layout": "domainnet",
        "seeds": (0,),
        "retention": None,
        "rehearsal": None,
        "root": "/data",
        "id": "real",
        "ood": None,
        "classes": None,
        "templates": IMAGENET_TEMPLATES,
        "id_val": 0.02,
        "ood_val": 0.1,
    }


def test_mistakes_in_the_sweep_file_are_named(shared: dict[str, Any]) -> None:
    said = {
        "s: data.id: no domain 'reel' in DomainNet; did you mean 'real'?": {"id": "reel"},
        "s: data.ood: no domain 'scetch' in DomainNet; did you mean 'sketch'?": {"ood": ["scetch"]},
        "s: data.ood: 'real' is the ID domain; name others": {"ood": ["sketch", "real"]},
        "s: data.ood: 'sketch' is there twice; name each once": {"ood": ["sketch", "sketch"]},
        "s: data.classes: 'airplane' is there twice; name each once": {"classes": ["airplane", "airplane"]},
        "s: data.templates.0: 'a photo' needs exactly one {}, where the class name goes": {"templates": "a photo"},
        "s: data.id_val: must be a share between 0 and 1, not 0": {"id_val": 0},
        "data.classes: no class 'airplan' in the lists; did you mean 'airplane'?": {
            "classes": ["airplan", "alarm_clock"]
        },
        "data: no images of 'real' are left for id/val; raise data.id_val, or choose other classes": {"id_val": 1e-9},
        "data: no images of 'real' are left for id/train; lower data.id_val, or choose other classes": {
            "id_val": 1 - 1e-9
        },
        "data: no images of 'sketch' are left for ood/sketch/val; raise data.ood_val, or choose other classes": {
            "ood": "sketch",
            "ood_val": 1e-9,
        },
    }
    for sentence, changes in said.items():
        assert complaint(shared, **changes) == sentence


def test_a_test_list_without_the_chosen_classes_is_named(tree: Path, section: dict[str, Any]) -> None:
    file = tree / "sketch_test.txt"
    file.write_text("".join(line for line in file.read_text().splitlines(keepends=True) if "aircraft" in line))
    assert complaint(section, classes=["airplane", "alarm_clock"], ood="sketch", ood_val=0.5) == (
        "data: no images of 'sketch' are left for ood/sketch/test; its test list has none; choose other classes"
    )


def test_a_missing_list_is_named(tree: Path, section: dict[str, Any]) -> None:
    (tree / "infograph_train.txt").unlink()
    sentence = f"data.root: DomainNet's list 'infograph_train.txt' is missing; looked in '{tree}'"
    assert complaint(section) == sentence
    assert len(opened(section, ood="sketch").splits()) == 5
    assert complaint(section, root=f"{tree}/x") == (
        f"data.root: DomainNet's list 'real_train.txt' is missing; looked in '{tree}/x'"
    )


def test_a_list_that_is_no_text_is_named(tree: Path, section: dict[str, Any]) -> None:
    (tree / "real_test.txt").write_bytes(b"\xff\xfe\x00")
    assert complaint(section) == f"data.root: '{tree}/real_test.txt' is not text in UTF-8; download it again"
    (tree / "real_test.txt").unlink()
    (tree / "real_test.txt").mkdir()
    assert complaint(section) == f"data.root: can't read '{tree}/real_test.txt': is a directory"


def test_missing_images_of_a_domain_or_class_are_named(tree: Path, section: dict[str, Any]) -> None:
    shutil.rmtree(tree / "sketch" / "airplane")
    assert complaint(section) == (
        f"data.root: the lists of 'sketch' have images in '{tree}/sketch/airplane', but there is no such folder; "
        "unpack the domain's images there"
    )
    assert len(opened(section, classes=["alarm_clock", "aircraft_carrier"]).splits()) == 13
    shutil.rmtree(tree / "sketch")
    assert complaint(section) == f"data.root: there is no such folder; looked in '{tree}/sketch'"


@pytest.mark.parametrize(
    "line",
    [
        "real/airplane/real_001_000001.jpg",
        "real/airplane/real_001_000001.jpg one",
        "real/airplane/real_001_000001.jpg -1",
        "real/airplane/real_001_000001.jpg\t1",
        " 1",
        "real/airplane/ 1",
        "real/airplane 1",
        "real//real_001_000001.jpg 1",
        "real/airplane/deeper/real_001_000001.jpg 1",
        "sketch/airplane/sketch_001_000001.jpg 1",
        "unreal/airplane/real_001_000001.jpg 1",
        "/data/real/airplane/real_001_000001.jpg 1",
        "real/../real_001_000001.jpg 1",
        "real/./real_001_000001.jpg 1",
        "real/airplane/.. 1",
        "../real/airplane/real_001_000001.jpg 1",
    ],
)
def test_a_line_that_is_not_path_and_label_is_named(line: str, tmp_path: Path) -> None:
    file = tmp_path / "real_train.txt"
    file.write_text(f"real/airplane/real_001_000000.jpg 1\n\n{line}\n")
    with pytest.raises(UserError) as caught:
        read_list(file, "real", OfficialLabels())
    assert str(caught.value) == (f"data.root: '{file}', line 3: '{line.strip()}' is not 'real/<class>/<image> <label>'")


def test_a_file_name_may_have_spaces(tmp_path: Path) -> None:
    (tmp_path / "real_train.txt").write_text("real/airplane/my plane.jpg 1")
    assert read_list(tmp_path / "real_train.txt", "real", OfficialLabels()) == [
        ("real/airplane/my plane.jpg", "airplane", 1)
    ]


def test_a_label_out_of_range_is_named(tree: Path, section: dict[str, Any]) -> None:
    replace_line(tree / "sketch_test.txt", 4, "sketch/airplane/sketch_001_000001.jpg 345")
    assert complaint(section) == (
        f"data.root: '{tree}/sketch_test.txt', line 4: label 345 is out of range, DomainNet's are 0 to 344"
    )


def test_labels_that_disagree_are_named_with_both_lines(tree: Path, section: dict[str, Any]) -> None:
    file, first = tree / "sketch_test.txt", f"'{tree}/real_train.txt', line 31"
    replace_line(file, 4, "sketch/airplane/sketch_001_000001.jpg 2")
    assert complaint(section) == f"data.root: '{file}', line 4: class 'airplane' has label 2, but 1 in {first}"
    replace_line(file, 4, "sketch/aeroplane/sketch_001_000001.jpg 1")
    assert complaint(section) == (
        f"data.root: '{file}', line 4: class 'aeroplane' has label 1, as 'airplane' in {first}"
    )
