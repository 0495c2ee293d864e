"""Retention: images of other classes, on which only what the model knew before can help (`data.retention`)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from fpray.data.base import DataOptions, Dataset, Split
from fpray.data.encoded import ImageFiles
from fpray.data.folders import FolderDataset, image_splits, prompt_name, subfolders
from fpray.errors import UserError

KEY = "data.retention"


class Retained(FolderDataset):
    """A folder of class folders, all of whose images are one test split."""

    name = "retention"

    def __init__(self, root: str, templates: Sequence[str]) -> None:
        super().__init__(DataOptions(layout=self.name))
        self._root, self._templates = Path(root), templates

    @property
    def classes(self) -> Sequence[str]:
        return [prompt_name(folder) for folder in self._folders]

    @property
    def templates(self) -> Sequence[str]:
        return self._templates

    def splits(self) -> Sequence[Split]:
        return tuple(self._images)

    def images(self, split: Split) -> ImageFiles:
        return self._images[split]

    @cached_property
    def _folders(self) -> list[str]:
        found = subfolders(self._root, KEY)
        if len(found) < 2:
            raise UserError(f"{KEY}: '{self._root}' has {len(found)} class folders; it needs two or more")
        return found

    @cached_property
    def _images(self) -> dict[Split, ImageFiles]:
        listed = []
        for label, folder in enumerate(self._folders):
            images = self._image_files(self._root, folder, KEY, "remove it or put images there")
            listed += [(image, label) for image in images]
        return image_splits(self._root, {Split("retention", self._root.name, "test"): listed}, {})


def retained(dataset: Dataset) -> list[Retained]:
    """The sets of other classes of a dataset's options; their prompts are the dataset's."""
    return [Retained(root, dataset.templates) for root in dataset.options.retention or ()]
