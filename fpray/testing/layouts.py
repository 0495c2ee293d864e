"""The tests that every layout must pass."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from fpray.config import Sweep, dump_sweep, parse, read_sweep
from fpray.data import Dataset, LabelledImages, Split, fingerprints, open_dataset
from fpray.errors import UserError
from fpray.testing.registering import registered


@dataclass(frozen=True)
class Made:
    """A dataset, and the sweep file's `data` section that opens it."""

    section: dict[str, Any]
    folder: Path
    dataset: Dataset

    def again(self) -> Dataset:
        return opened(self.sweep())

    def sweep(self, **more: Any) -> Sweep:
        return sweep_of(self.section | more, self.folder)


class LayoutConformance:
    """Tests of one layout; make a subclass of it for yours, with a `section`."""

    layout: ClassVar[type[Dataset]]

    @classmethod
    def section(cls, folder: Path) -> dict[str, Any]:
        """Make a small dataset in an empty folder, and return the sweep file's `data` section that opens it."""
        raise NotImplementedError("say how a small dataset is made: override `section`")

    @pytest.fixture(scope="class")
    @classmethod
    def made(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
        """A small dataset."""
        section = cls.section(tmp_path_factory.mktemp(cls.layout.name))
        assert section["layout"] == cls.layout.name
        folder = tmp_path_factory.mktemp("sweep")
        with registered(cls.layout):
            yield Made(section, folder, opened(sweep_of(section, folder)))

    @pytest.fixture
    def each_split(self, made: Made) -> list[tuple[Split, LabelledImages]]:
        """Every split with its images."""
        return [(split, made.dataset.images(split)) for split in made.dataset.splits()]

    def test_splits_come_in_the_fixed_order(self, made: Made) -> None:
        splits = made.dataset.splits()
        assert [split.name for split in splits[:3]] == ["id/train", "id/val", "id/test"]
        assert len({split.domain for split in splits[:3]}) == 1
        assert len(splits) > 3
        for val, test in zip(splits[3::2], splits[4::2], strict=True):
            assert (val.role, val.part, test) == ("ood", "val", Split("ood", val.domain, "test"))
        assert len(set(splits)) == len(splits)
        assert len({split.domain for split in splits[3::2]} - {splits[0].domain}) == len(splits[3::2])

    def test_its_fingerprint_is_the_same_again(self, made: Made) -> None:
        assert fingerprints(made.dataset) == fingerprints(made.again())

    def test_no_image_is_in_two_splits(self, each_split: Sequence[tuple[Split, LabelledImages]]) -> None:
        everything = [place for _, images in each_split for place in places(images)]
        assert len(set(everything)) == len(everything) > 0

    def test_no_split_is_empty_and_labels_are_in_range(
        self, made: Made, each_split: Sequence[tuple[Split, LabelledImages]]
    ) -> None:
        for split, images in each_split:
            groups = made.dataset.groups(split)
            labels = np.asarray(images.labels)
            assert len(images) == len(labels) > 0
            assert labels.min() >= 0
            assert labels.max() < len(made.dataset.classes if groups is None else groups)

    def test_groups_are_of_classes(self, made: Made) -> None:
        for split in made.dataset.splits():
            for group in made.dataset.groups(split) or ():
                assert len(set(group)) == len(group) > 0
                assert 0 <= min(group) <= max(group) < len(made.dataset.classes)

    def test_training_labels_are_the_classes_themselves(self, made: Made) -> None:
        train = made.dataset.splits()[0]
        assert made.dataset.groups(train) is None
        assert len(set(np.asarray(made.dataset.images(train).labels).tolist())) > 1

    def test_images_are_rgb(self, each_split: Sequence[tuple[Split, LabelledImages]]) -> None:
        for _, images in each_split:
            for index in (0, len(images) - 1):
                assert images[index].mode == "RGB"
                assert min(images[index].size) > 0

    def test_images_have_names_of_their_own(self, each_split: Sequence[tuple[Split, LabelledImages]]) -> None:
        for _, images in each_split:
            assert len({images.name_of(i) for i in range(len(images))}) == len(images)

    def test_a_second_instance_has_the_same_in_the_same_order(
        self, made: Made, each_split: Sequence[tuple[Split, LabelledImages]]
    ) -> None:
        again = made.again()
        assert list(again.splits()) == list(made.dataset.splits())
        assert list(again.classes) == list(made.dataset.classes)
        for split, images in each_split:
            others = again.images(split)
            assert np.array_equal(others.labels, images.labels)
            assert contents(others) == contents(images)

    def test_prompts_can_be_made(self, made: Made) -> None:
        assert len(set(made.dataset.classes)) == len(made.dataset.classes) > 1
        assert all(name.strip() and "_" not in name for name in made.dataset.classes)
        assert len(made.dataset.templates) > 0
        assert all(template.count("{}") == 1 for template in made.dataset.templates)

    def test_options_read_back(self, made: Made) -> None:
        sweep = made.sweep()
        back = sweep_of(parse(dump_sweep(sweep), "the sweep")["data"], made.folder)
        assert back == sweep
        assert type(back.data) is type(sweep.data)
        for key, value in made.section.items():
            assert sweep.model_dump(mode="json")["data"][key] == value

    def test_a_mistyped_option_is_named(self, made: Made) -> None:
        with pytest.raises(UserError, match=r": data: unknown key 'layoutt'; did you mean 'layout'\?$"):
            made.sweep(layoutt=1)

    def test_a_process_can_keep_it_by_its_options(self, made: Made) -> None:
        kept = {made.dataset.options: made.dataset}
        assert kept[made.again().options] is made.dataset


def sweep_of(section: dict[str, Any], folder: Path) -> Sweep:
    """The sweep of a file with that `data` section."""
    file = folder / "sweep.yaml"
    file.write_text(json.dumps({"data": section}))  # JSON is YAML
    return read_sweep(file)


def opened(sweep: Sweep) -> Dataset:
    return open_dataset(sweep.data)


def contents(images: LabelledImages) -> list[bytes]:
    """The pixels of each image."""
    return [images[index].tobytes() for index in range(len(images))]


def places(images: LabelledImages) -> list[Any]:
    """An identity for each image: the place of its file, or its pixels where it has none."""
    root = getattr(images, "root", None)
    return contents(images) if root is None else [root / images.name_of(index) for index in range(len(images))]
