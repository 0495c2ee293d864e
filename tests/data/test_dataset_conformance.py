"""What every dataset must hold, whichever it is: one that `trees.TREES` can make is tested here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import yaml
from trees import TREES

from fpray.data import DATASETS, Dataset, Split
from fpray.data.encoded import ImageFiles
from fpray.errors import UserError
from fpray.sweepfile import check_sweep, dump_sweep


@dataclass(frozen=True)
class Made:
    """A dataset and what makes it again."""

    section: dict[str, Any]
    dataset: Dataset

    def again(self) -> Dataset:
        return opened(self.section)


def opened(section: dict[str, Any]) -> Dataset:
    data = check_sweep({"name": "s", "data": section}, "s").data
    return DATASETS[data.layout](data)


@pytest.fixture(scope="module", params=TREES)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    section = TREES[request.param](tmp_path_factory.mktemp(request.param))
    assert section["layout"] == request.param
    return Made(section, opened(section))


@pytest.fixture
def each_split(made: Made) -> Callable[[], list[tuple[Split, Any]]]:
    return lambda: [(split, made.dataset.images(split)) for split in made.dataset.splits()]


def contents(images: Any) -> list[bytes]:
    return [images[i].tobytes() for i in range(len(images))]


def test_every_layout_has_a_tree() -> None:
    assert {kind.name for kind in DATASETS.values()} == TREES.keys()


def test_splits_come_in_the_fixed_order(made: Made) -> None:
    splits = made.dataset.splits()
    assert [split.name for split in splits[:3]] == ["id/train", "id/val", "id/test"]
    assert len({split.domain for split in splits[:3]}) == 1
    assert len(splits) > 3
    for val, test in zip(splits[3::2], splits[4::2], strict=True):
        assert (val.role, val.part, test) == ("ood", "val", Split("ood", val.domain, "test"))
    assert len(set(splits)) == len(splits)
    assert len({split.domain for split in splits[3::2]} - {splits[0].domain}) == len(splits[3::2])


def test_no_image_is_in_two_splits(each_split: Callable[[], list[tuple[Split, Any]]]) -> None:
    everything = [
        images.root / images.name_of(i) if isinstance(images, ImageFiles) else images[i].tobytes()
        for _, images in each_split()
        for i in range(len(images))
    ]
    assert len(set(everything)) == len(everything) > 0


def test_no_split_is_empty_and_labels_are_in_range(
    made: Made, each_split: Callable[[], list[tuple[Split, Any]]]
) -> None:
    for split, images in each_split():
        groups = made.dataset.groups(split)
        labels = np.asarray(images.labels)
        assert len(images) == len(labels) > 0
        assert labels.min() >= 0
        assert labels.max() < len(made.dataset.classes if groups is None else groups)


def test_groups_are_of_classes(made: Made) -> None:
    for split in made.dataset.splits():
        for group in made.dataset.groups(split) or ():
            assert len(set(group)) == len(group) > 0
            assert 0 <= min(group) <= max(group) < len(made.dataset.classes)


def test_training_labels_are_the_classes_themselves(made: Made) -> None:
    train = made.dataset.splits()[0]
    assert made.dataset.groups(train) is None
    assert len(set(np.asarray(made.dataset.images(train).labels).tolist())) > 1


def test_images_are_rgb(each_split: Callable[[], list[tuple[Split, Any]]]) -> None:
    for _, images in each_split():
        for index in (0, len(images) - 1):
            assert images[index].mode == "RGB"
            assert min(images[index].size) > 0


def test_images_have_names_of_their_own(each_split: Callable[[], list[tuple[Split, Any]]]) -> None:
    for _, images in each_split():
        assert len({images.name_of(i) for i in range(len(images))}) == len(images)


def test_a_second_instance_has_the_same_in_the_same_order(
    made: Made, each_split: Callable[[], list[tuple[Split, Any]]]
) -> None:
    again = made.again()
    assert list(again.splits()) == list(made.dataset.splits())
    assert list(again.classes) == list(made.dataset.classes)
    for split, images in each_split():
        others = again.images(split)
        assert np.array_equal(others.labels, images.labels)
        assert contents(others) == contents(images)


def test_prompts_can_be_made(made: Made) -> None:
    assert len(set(made.dataset.classes)) == len(made.dataset.classes) > 1
    assert all(name.strip() and "_" not in name for name in made.dataset.classes)
    assert len(made.dataset.templates) > 0
    assert all(template.count("{}") == 1 for template in made.dataset.templates)


def test_options_read_back(made: Made) -> None:
    sweep = check_sweep({"name": "s", "data": made.section}, "s")
    back = check_sweep(yaml.safe_load(dump_sweep(sweep)), "s")
    assert back == sweep
    assert type(back.data) is type(sweep.data)
    for key, value in made.section.items():
        assert sweep.model_dump(mode="json")["data"][key] == value


def test_a_mistyped_option_is_named(made: Made) -> None:
    with pytest.raises(UserError, match=r"s: data: unknown key 'layoutt'; did you mean 'layout'\?"):
        opened(made.section | {"layoutt": 1})


def test_a_process_can_keep_it_by_its_options(made: Made) -> None:
    kept = {made.dataset.options: made.dataset}
    assert kept[made.again().options] is made.dataset
