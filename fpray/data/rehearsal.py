"""Rehearsal: images of anything, which are replayed while a model is fine-tuned (`data.rehearsal`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

from torch import Tensor

from fpray.data.base import DataOptions, Dataset, LabelledImages, RehearsalOptions, Split
from fpray.data.captions import read_table
from fpray.data.crops import Crop
from fpray.data.encoded import SUFFIXES, ImageFiles
from fpray.data.folders import images_below
from fpray.data.loading import Batch, Transformed
from fpray.data.paths import PRETRAINING
from fpray.errors import UserError

KEY = "data.rehearsal.source"


class Rehearsed(Dataset):
    """Images of anything, all of which are one split's, and of one class."""

    name = "rehearsal"

    def __init__(self, options: RehearsalOptions, beside: Dataset) -> None:
        """
        Args:
            beside: the data that is trained on, which may know what the model was pre-trained on.
        """
        super().__init__(DataOptions(layout=self.name, rehearsal=options))
        self._own, self._beside = options, beside

    @property
    def classes(self) -> Sequence[str]:
        return ("anything",)

    @property
    def templates(self) -> Sequence[str]:
        return ("{}",)

    def splits(self) -> Sequence[Split]:
        self.all_images  # noqa: B018 - raises where they are missing, as it does on a node that doesn't see the folder
        return (Split("rehearsal", Path(self._own.source).name, "train"),)

    def images(self, split: Split) -> LabelledImages:
        return self.all_images

    @cached_property
    def all_images(self) -> LabelledImages:
        """The images, with captions where the source has some.

        Raises:
            UserError: if there are none, or the source is wrong.
        """
        source = Path(self._own.source)
        if self._own.source == PRETRAINING:
            return self._pretraining()
        if self._own.is_table:
            paths, captions = read_table(source, KEY)
            return _files(source.parent, paths, captions)
        paths = images_below(source, KEY)
        if not paths:
            raise UserError(f"{KEY}: '{source}' has no images ({', '.join(SUFFIXES)}); put some there")
        return _files(source, paths, None)

    def _pretraining(self) -> LabelledImages:
        found = self._beside.pretraining()
        if found is None:
            raise UserError(
                f"{KEY}: what a model was pre-trained on is at hand for drawnet alone, not for "
                f"'{self._beside.name}'; give a folder of images, or a .csv or .tsv of images and captions"
            )
        return found


def _files(root: Path, paths: Sequence[str], captions: Sequence[str] | None) -> ImageFiles:
    images = ImageFiles(root, paths, [0] * len(paths))
    images.captions = captions
    return images


def rehearsed(dataset: Dataset) -> Rehearsed | None:
    """The images that a dataset's options say are replayed; None if they say none."""
    options = dataset.options.rehearsal
    return None if options is None else Rehearsed(options, dataset)


class Replayed(Transformed):
    """Images of anything, cropped as training images, as `replayed`."""

    def _item(self, cropped: Tensor, index: int) -> Batch:
        return {"replayed": cropped}


class ReplayedPairs(Transformed):
    """The same with the tokens of their captions, `replayed_captions`, [context length]."""

    def __init__(
        self, images: LabelledImages, captions: Sequence[str], crop: Crop, tokenizer: Callable[[list[str]], Tensor]
    ) -> None:
        super().__init__(images, crop)
        self.captions, self.tokenizer = captions, tokenizer

    def _item(self, cropped: Tensor, index: int) -> Batch:
        return {"replayed": cropped, "replayed_captions": self.tokenizer([self.captions[index]])[0]}
