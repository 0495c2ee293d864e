"""The contract of a dataset: domains with a role, split into parts, each a list of labelled images.

A new layout is one module in `fpray/data/layouts/` that defines one subclass of `Dataset`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Self

from PIL.Image import Image
from pydantic import Field
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from fpray.data.paths import PRETRAINING, Roots, Source
from fpray.section import Section, Seeds

Role = Literal["id", "ood", "retention", "rehearsal"]
Part = Literal["train", "val", "test"]


Size = tuple[int, int]
"""Width and height of an image, in pixels."""


@dataclass(frozen=True, order=True)
class Split:
    """One part of one domain, e.g. the test images of the OOD domain `sketch`."""

    role: Role
    domain: str
    part: Part

    @property
    def name(self) -> str:
        """The split's key in records and metrics: `id/val`, `ood/sketch/test`, `retention/food/test`,
        `rehearsal/cc3m/train`."""
        return f"id/{self.part}" if self.role == "id" else f"{self.role}/{self.domain}/{self.part}"


class UnreadableImageError(Exception):
    """An image can't be read or decoded; the message is its name and why."""


class LabelledImages(ABC):
    """The images of one split, with an RGB image and a label for each index in [0, length).

    `labels[i]`, in [0, number of classes), belongs to `self[i]`; where the dataset gives the split `groups`, it is
    the number of a group.
    """

    labels: Sequence[int]
    captions: Sequence[str] | None = None
    """What is said of each image; None where nothing is."""
    stage: int = 1
    """The version of a dataset that fpray itself makes, raised where its trials can't be compared with those before."""
    unreadable: Tensor | None = None
    """A mask, [length], of the images that were found to be unreadable so far, shared by all processes that load this
    split; None if no image can be unreadable."""

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def __getitem__(self, index: int) -> Image:
        """The RGB image.

        Raises:
            UnreadableImageError: if it can't be read or decoded.
            UserError: if the split can't be used, for example since too many of its images are unreadable.
        """

    def pixels_of(self, index: int) -> Tensor:
        """The same as uint8, [3, height, width]. It raises what `self[index]` raises."""
        pixels: Tensor = pil_to_tensor(self[index])
        return pixels

    def try_one(self, index: int) -> Size | str:
        """The size of an image or, if it can't be decoded, its name and why.

        Raises:
            UserError: if it can't be tried, for example since its storage doesn't answer.
        """
        try:
            return self[index].size
        except UnreadableImageError as error:
            return str(error)

    def too_many_unreadable(self, example: str) -> str | None:
        """A sentence for the user if so many images are unreadable that the split can't be used, else None.

        Args:
            example: the name of an unreadable image and why, for the sentence.
        """
        return None

    def name_of(self, index: int) -> str:
        """The name of an image in messages."""
        return str(index)

    def sizes(self) -> Sequence[int]:
        """The size of each image's file in bytes, by which another file of the same name is noticed; none for images
        that are no files."""
        return ()

    def stamp(self) -> str | None:
        """A text that changes with the content of any image, cheaper to find out than that; None if there is none, and
        then what is computed of the images is never kept for others. A class that extends another has none of its own,
        unless it says so: its images may be others, and others again tomorrow."""
        return None

    def prefetch(self, indices: Sequence[int]) -> None:  # noqa: B027 - most images need nothing
        """Get images ready that will be asked for next, where many at once are faster than one after another."""


class RehearsalOptions(Section):
    """Images of anything, which methods that replay take beside the training images."""

    source: Source
    """A folder of images, with those in folders below it; a table of images and captions as open_clip's training
    reads them, `.csv` or `.tsv`, with the columns `filepath` (relative to the table's folder) and `title`; or, for
    `drawnet`, `pretraining`: what its models were pre-trained on, with captions."""
    batch_size: int | None = Field(None, ge=1)
    """Images of it in a step, over all workers of the trial; null for as many as training images."""

    @property
    def is_table(self) -> bool:
        """Whether the source is a table of images and captions."""
        return Path(self.source).suffix.lower() in (".csv", ".tsv")

    @property
    def has_captions(self) -> bool:
        """Whether something is said of each image."""
        return self.is_table or self.source == PRETRAINING


class DataOptions(Section):
    """The `data` section of a sweep file; each layout adds its own keys."""

    layout: str = "drawnet"
    """How the images lie."""
    seeds: Seeds = (0,)
    """The draws of the data, one or several: with each, other images are set aside for validation and test, and each
    configuration is tried on every one and reported by the mean."""
    retention: Roots | None = None
    """Folders of other classes, each `folder/CLASS/IMAGE`, on which a trial's end tells what is left of zero-shot
    accuracy: the tuned image tower with a head of these classes' prompts."""
    rehearsal: RehearsalOptions | None = None
    """Images that a method replays while it fine-tunes, which need no labels; null for none, and then no method can."""

    @property
    def seed(self) -> int:
        """The draw that a dataset is opened with: the only one, or the first."""
        return self.seeds[0]

    def drawn(self, seed: int) -> Self:
        """The options with one draw."""
        return self.model_copy(update={"seeds": (seed,)})


class Dataset(ABC):
    """Labelled images of one ID domain and several OOD domains over the same classes.

    Making one is cheap; the images are looked up when they are asked for.
    """

    name: ClassVar[str]
    """The layout's name: `data.layout` in a sweep file."""
    Options: ClassVar[type[DataOptions]] = DataOptions
    """The class of `options`. A layout that has keys of its own gives both anew, so that they are checked and typed."""
    options: DataOptions

    def __init__(self, options: DataOptions) -> None:
        self.options = options

    @property
    @abstractmethod
    def classes(self) -> Sequence[str]:
        """Class names as a prompt would say them; the index is the label."""

    @property
    @abstractmethod
    def templates(self) -> Sequence[str]:
        """Prompt templates with one `{}` for the class name."""

    @abstractmethod
    def splits(self) -> Sequence[Split]:
        """Every split, in a fixed order: `id/train`, `id/val`, `id/test`, then the OOD domains'.

        Raises:
            UserError: if a folder or file is missing or wrong; the message says where it was looked for.
        """

    @abstractmethod
    def images(self, split: Split) -> LabelledImages:
        """The images of a split, always in the same order.

        Raises:
            UserError: as for `splits`.
        """

    def groups(self, split: Split) -> Sequence[Sequence[int]] | None:
        """The classes that each of the split's labels stands for; None if labels are the classes themselves.

        A group's logit is the largest of its classes' (WiSE-FT's rule for ObjectNet); classes in no group don't
        take part (ImageNet-A and -R: 200 groups of one).
        """
        return None

    def pretraining(self) -> LabelledImages | None:
        """The images that the model was pre-trained on, with captions, all of label 0; None if they aren't at hand."""
        return None

    def remarks(self) -> list[str]:
        """Facts about the data that a user should know, a line each, e.g. a test split that isn't the published one."""
        return []
