"""Domains in folders: which image is in which split under which label, and one sentence for each mistake."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fpray.config.file import check_sweep, dump_sweep, read_sweep
from fpray.data.base import Split
from fpray.data.encoded import SUFFIXES
from fpray.data.folders import IMAGENET_TEMPLATES, position
from fpray.data.layouts.domains import Domains
from fpray.errors import UserError
from tests.data import trees


def opened(section: dict[str, Any], **changes: Any) -> Domains:
    data = check_sweep({"name": "s", "data": section | changes}, "s").data
    return Domains(data)  # type: ignore[arg-type]


def complaint(section: dict[str, Any], **changes: Any) -> str:
    """The message of the error, which is a single sentence."""
    with pytest.raises(UserError) as caught:
        opened(section, **changes).splits()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def by_path(dataset: Domains, *splits: str) -> dict[str, int]:
    """Labels by path, of the splits named or of all."""
    found = {}
    for split in dataset.splits():
        if not splits or split.name in splits:
            images = dataset.images(split)
            found |= {images.name_of(i): int(images.labels[i]) for i in range(len(images))}
    return found


def test_every_image_is_in_one_split_under_its_folders_label(tree: Path, section: dict[str, Any]) -> None:
    dataset = opened(section)
    assert dataset.classes == ("alarm clock", "dog", "giraffe")
    files = [str(file.relative_to(tree)) for file in tree.rglob("*.png")]
    labels = {"alarm_clock": 0, "dog": 1, "giraffe": 2}
    assert len(files) == 169
    assert by_path(dataset) == {path: labels[path.split("/")[1]] for path in files}
    assert sum(len(dataset.images(split)) for split in dataset.splits()) == 169


def test_splits_are_shares_by_the_hash_of_the_path(section: dict[str, Any]) -> None:
    dataset = opened(section, id_val=0.15, id_test=0.25, ood_val=0.3)
    assert [split.name for split in dataset.splits()] == [
        "id/train",
        "id/val",
        "id/test",
        "ood/art painting/val",
        "ood/art painting/test",
        "ood/sketch/val",
        "ood/sketch/test",
    ]
    assert all(position(path, 0) < 0.25 for path in by_path(dataset, "id/test"))
    assert all(0.25 <= position(path, 0) < 0.4 for path in by_path(dataset, "id/val"))
    assert all(position(path, 0) >= 0.4 for path in by_path(dataset, "id/train"))
    for domain in ("art painting", "sketch"):
        assert all(position(path, 0) < 0.3 for path in by_path(dataset, f"ood/{domain}/val"))
        assert all(position(path, 0) >= 0.3 for path in by_path(dataset, f"ood/{domain}/test"))


def test_images_are_sorted_within_each_class(section: dict[str, Any]) -> None:
    dataset = opened(section)
    for split in dataset.splits():
        images = dataset.images(split)
        order = [(images.labels[i], images.name_of(i)) for i in range(len(images))]
        assert order == sorted(order)


def test_an_image_is_the_file_of_its_path(section: dict[str, Any]) -> None:
    images = opened(section).images(Split("ood", "sketch", "test"))
    for index in range(0, len(images), 7):
        assert np.array_equal(images[index], np.asarray(trees.picture(images.name_of(index))))


def test_classes_may_be_missing_in_ood_domains(section: dict[str, Any]) -> None:
    dataset = opened(section)
    assert Counter(by_path(dataset, "ood/sketch/val", "ood/sketch/test").values()) == {1: 20, 2: 12}


def test_images_stay_in_their_splits_when_others_come(tree: Path, section: dict[str, Any]) -> None:
    before = {split.name: by_path(opened(section), split.name) for split in opened(section).splits()}
    shutil.copytree(tree / "photo" / "dog", tree / "photo" / "aardvark")
    shutil.copy(tree / "photo/dog/000.png", tree / "photo/dog/0000.png")
    dataset = opened(section)
    for split in dataset.splits():
        assert before[split.name].keys() <= by_path(dataset, split.name).keys()
    assert len(by_path(dataset)) == 169 + 40 + 1


def test_a_tree_is_listed_once(tree: Path, section: dict[str, Any]) -> None:
    dataset = opened(section)
    splits = dataset.splits()
    shutil.rmtree(tree)
    assert dataset.splits() == splits
    assert sum(len(dataset.images(split)) for split in splits) == 169
    assert dataset.images(splits[0]) is dataset.images(splits[0])
    assert len(dataset.classes) == 3


def test_ood_domains_come_as_listed(section: dict[str, Any]) -> None:
    assert [s.domain for s in opened(section, ood=["sketch", "art painting"]).splits()[3::2]] == [
        "sketch",
        "art painting",
    ]
    assert [s.domain for s in opened(section, ood="sketch").splits()] == ["photo"] * 3 + ["sketch"] * 2


def test_a_domain_that_is_not_used_is_not_read(tree: Path, section: dict[str, Any]) -> None:
    (tree / "notes" / "drafts").mkdir(parents=True)
    assert len(opened(section, ood="sketch").splits()) == 5
    assert complaint(section) == (
        f"data.ood: '{tree}/notes' has none of the class folders; remove it, or list the domains in data.ood"
    )


def test_listed_classes_have_labels_in_the_order_of_the_list(section: dict[str, Any]) -> None:
    dataset = opened(section, classes=["giraffe", "alarm_clock"], ood="art painting")
    assert dataset.classes == ("giraffe", "alarm clock")
    assert Counter(by_path(dataset).values()) == {0: 30 + 18, 1: 25 + 9}


def test_a_mapping_selects_classes_and_names_them(section: dict[str, Any]) -> None:
    dataset = opened(section, classes={"giraffe": "tall_animal", "dog": "hound"})
    assert dataset.classes == ("tall_animal", "hound")
    assert {path.split("/")[1]: label for path, label in by_path(dataset).items()} == {"giraffe": 0, "dog": 1}


def test_listed_classes_let_ood_domains_have_others(tree: Path, section: dict[str, Any]) -> None:
    trees.make_images(tree, {"sketch/cat": 3})
    assert opened(section, classes=["dog", "giraffe"]).classes == ("dog", "giraffe")


def test_templates_default_to_the_eighty_and_may_be_given_by_domain(section: dict[str, Any]) -> None:
    assert opened(section).templates == IMAGENET_TEMPLATES
    assert opened(section, templates=["a {}.", "one {}"]).templates == ("a {}.", "one {}")
    by_domain = {"sketch": ["a sketch of a {}.", "a {}."], "photo": "a {}."}
    assert opened(section, templates=by_domain).templates == ("a sketch of a {}.", "a {}.")


@pytest.mark.parametrize(
    "changes",
    [
        {"ood": "sketch", "classes": {"dog": "hound", "giraffe": "giraffe"}, "id_val": 0.2},
        {"classes": ["dog", "giraffe"], "templates": {"photo": ["a photo of a {}."], "sketch": ["a sketch of a {}."]}},
        {"templates": "a {}.", "ood_val": 0.5},
    ],
)
def test_options_read_back(changes: dict[str, Any], section: dict[str, Any], tmp_path: Path) -> None:
    sweep = check_sweep({"name": "s", "data": section | changes}, "s")
    (tmp_path / "s.yaml").write_text(dump_sweep(sweep))
    assert read_sweep(tmp_path / "s.yaml") == sweep


@pytest.mark.parametrize(
    ("domains", "classes"),
    [
        (("art_painting", "cartoon", "photo", "sketch"), ("dog", "elephant", "house")),  # PACS
        (("Art", "Clipart", "Product", "Real World"), ("Alarm_Clock", "Backpack", "Paper_Clip")),  # OfficeHome
        (("Caltech101", "LabelMe", "SUN09", "VOC2007"), ("bird", "car", "chair")),  # VLCS
        (("location_38", "location_43", "location_46", "location_100"), ("bobcat", "empty", "dog")),  # TerraIncognita
    ],
)
def test_the_usual_trees_need_no_code(domains: tuple[str, ...], classes: tuple[str, ...], tmp_path: Path) -> None:
    trees.make_images(tmp_path, {f"{domain}/{name}": 12 for domain in domains for name in classes}, ".jpg")
    (tmp_path / "imagelist.txt").touch()
    for name in domains:
        dataset = opened({"layout": "domains", "root": str(tmp_path), "id": name, "id_val": 0.2, "ood_val": 0.2})
        assert {s.domain for s in dataset.splits() if s.role == "ood"} == set(domains) - {name}
        assert set(dataset.classes) == {folder.replace("_", " ") for folder in classes}
        assert len(by_path(dataset)) == 12 * len(domains) * len(classes)


def test_mistakes_in_the_sweep_file_are_named(section: dict[str, Any]) -> None:
    said = {
        "needs exactly one {}": {"templates": ["a {}", "a photo"]},
        "s: data.templates.sketch.0: 'a photo' needs exactly one {}, where": {"templates": {"sketch": ["a photo"]}},
        "s: data.templates: is empty; leave it out or fill it": {"templates": {}},
        "s: data.classes: 'dog' is there twice; name each once": {"classes": ["dog", "dog"]},
        "s: data.classes.dog: must be text; put it in quotes": {"classes": {"dog": 3}},
        "s: data.ood: 'sketch' is there twice; name each once": {"ood": ["sketch", "photos", "sketch"]},
        "s: data.ood: 'photo' is the ID domain; name others": {"ood": ["sketch", "photo"]},
        "s: data: id_val 0.5 and id_test 0.5 leave nothing to train on; lower one": {"id_val": 0.5, "id_test": 0.5},
        "s: data.id_val: must be a share between 0 and 1, not 0": {"id_val": 0},
        "s: data.ood_val: must be a share between 0 and 1, not 1": {"ood_val": 1},
    }
    for sentence, changes in said.items():
        assert sentence in complaint(section, **changes)
    with pytest.raises(UserError, match=r"^s: data.id: field required$"):
        opened({"layout": "domains", "root": section["root"]})


def test_mistakes_that_the_tree_shows_are_named(tree: Path, section: dict[str, Any]) -> None:
    trees.make_images(tree, {"photo/lamp": 1})
    said = {
        f"data.root: there is no such folder; looked in '{tree}/x'": {"root": f"{tree}/x"},
        f"data.root: '{tree}/photo/dog' has no folders; each domain must be one": {"root": f"{tree}/photo/dog"},
        f"data.id: no domain 'foto' in '{tree}'; did you mean 'photo'?": {"id": "foto"},
        f"data.ood: no domain 'scetch' in '{tree}'; did you mean 'sketch'?": {"ood": ["scetch"]},
        f"data.classes: no folder 'girafe' in '{tree}/photo'; did you mean 'giraffe'?": {"classes": ["girafe", "dog"]},
        f"data.classes: no folder 'dogs' in '{tree}/photo'; did you mean 'dog'?": {
            "classes": {"dogs": "dog", "giraffe": "giraffe"}
        },
        f"data.classes: 'dog' and 'giraffe' in '{tree}/photo' are both called 'animal'; rename one": {
            "classes": {"dog": "animal", "giraffe": "animal"}
        },
        "data.templates: 'scetch' is no domain of this sweep; did you mean 'sketch'?": {
            "templates": {"scetch": ["a {}."]}
        },
        "data.templates: 'art painting' is no domain of this sweep; known are: photo, sketch": {
            "ood": "sketch",
            "templates": {"art painting": ["a {}."]},
        },
        f"data.ood: '{tree}/sketch' has none of the class folders; name others": {
            "ood": "sketch",
            "classes": ["alarm_clock", "lamp"],
        },
        "data: no images of 'photo' are left for id/train; lower data.id_val or data.id_test": {
            "id_test": 0.99,
            "id_val": 0.0099,
        },
        "data: no images of 'photo' are left for id/val; raise data.id_val": {"id_val": 1e-9},
        "data: no images of 'photo' are left for id/test; raise data.id_test": {"id_test": 1e-9},
        "data: no images of 'sketch' are left for ood/sketch/val; raise data.ood_val": {
            "ood": "sketch",
            "ood_val": 1e-9,
        },
        "data: no images of 'sketch' are left for ood/sketch/test; lower data.ood_val": {
            "ood": "sketch",
            "ood_val": 1 - 1e-9,
        },
    }
    for sentence, changes in said.items():
        assert complaint(section, **changes) == sentence


def test_class_names_that_differ_between_domains_are_named(tree: Path, section: dict[str, Any]) -> None:
    (tree / "sketch/giraffe").rename(tree / "sketch/Giraffe")
    assert complaint(section) == (
        f"data.classes: '{tree}/sketch' has a folder 'Giraffe', '{tree}/photo' has not (did you mean 'giraffe'?); "
        "rename it, or list the folders to use in data.classes"
    )


def test_two_folders_with_one_name_are_named(tree: Path, section: dict[str, Any]) -> None:
    trees.make_images(tree, {"photo/alarm clock": 2})
    assert complaint(section) == (
        f"data.classes: 'alarm clock' and 'alarm_clock' in '{tree}/photo' are both called 'alarm clock'; rename one"
    )


@pytest.mark.parametrize("folder", ["photo/empty", "sketch/alarm_clock"])
def test_an_empty_class_folder_is_named(folder: str, tree: Path, section: dict[str, Any]) -> None:
    (tree / folder).mkdir()
    assert complaint(section) == (
        f"data.root: '{tree}/{folder}' has no images ({', '.join(SUFFIXES)}); remove it or put images there"
    )


@pytest.mark.parametrize("folder", ["photo/alarm_clocks", "sketch/alarm_clock", "wood"])
def test_a_class_folder_that_is_a_bad_link_is_named(folder: str, tree: Path, section: dict[str, Any]) -> None:
    (tree / folder).symlink_to(tree / folder)
    assert complaint(section) == (
        f"data.root: can't read '{tree}/{folder}': too many levels of symbolic links; mend or remove it"
    )
    (tree / folder).unlink()
    (tree / folder).symlink_to("nowhere")
    assert complaint(section) == f"data.root: the link '{tree}/{folder}' leads nowhere; mend or remove it"


def test_a_class_folder_may_be_a_link(tree: Path, section: dict[str, Any]) -> None:
    (tree / "sketch/alarm_clock").symlink_to(tree / "art painting/alarm_clock")
    assert len(by_path(opened(section), "ood/sketch/val", "ood/sketch/test")) == 20 + 12 + 9


def test_a_root_without_other_domains_is_named(tmp_path: Path) -> None:
    trees.make_images(tmp_path, {"photo/dog": 1, "photo/cat": 1})
    section = {"layout": "domains", "root": str(tmp_path), "id": "photo"}
    assert complaint(section) == f"data.ood: '{tmp_path}' has no domain besides 'photo'; put others there"
    (tmp_path / "sketch").mkdir()
    assert complaint(section | {"ood": "sketch"}) == (
        f"data.ood: '{tmp_path}/sketch' has none of the class folders; name others"
    )
    assert (
        complaint(section | {"id": "sketch"}) == f"data.id: '{tmp_path}/sketch' has no folders; each class must be one"
    )


def test_another_draw_shares_images_out_anew(section: dict[str, Any]) -> None:
    def shared_out(seed: int) -> dict[str, set[str]]:
        dataset = opened(section, seeds=seed)
        return {split.name: set(by_path(dataset, split.name)) for split in dataset.splits()}

    one, again, other = shared_out(1), shared_out(1), shared_out(2)
    assert one == again != other
    assert set().union(*one.values()) == set().union(*other.values())


def test_several_id_domains_are_one(section: dict[str, Any]) -> None:
    section |= {"classes": ["dog", "giraffe"]}
    dataset = opened(section, id=["photo", "sketch"])
    assert [split.name for split in dataset.splits()] == [
        "id/train",
        "id/val",
        "id/test",
        "ood/art painting/val",
        "ood/art painting/test",
    ]
    assert {split.domain for split in dataset.splits() if split.role == "id"} == {"photo+sketch"}
    alone = {domain: opened(section, id=domain) for domain in ("photo", "sketch")}
    for part in ("train", "val", "test"):
        apart = [by_path(dataset, f"id/{part}") for dataset in alone.values()]
        assert by_path(dataset, f"id/{part}") == apart[0] | apart[1]
    assert complaint(section, id=["photo", "photos"]).startswith("data.id: no domain 'photos'")
