"""What a dataset is: domains with a role, split into parts, each a list of labelled images.

A new dataset is one module in `fpray/data/` that defines one subclass of `Dataset`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from PIL.Image import Image
from torch import Tensor

from fpray.section import Section

Role = Literal["id", "ood"]
Part = Literal["train", "val", "test"]


@dataclass(frozen=True, order=True)
class Split:
    """One part of one domain, e.g. the test images of the OOD domain `sketch`."""

    role: Role
    domain: str
    part: Part

    @property
    def name(self) -> str:
        """The split's key in records and metrics: `id/val`, `ood/sketch/test`."""
        return f"id/{self.part}" if self.role == "id" else f"ood/{self.domain}/{self.part}"


class LabelledImages(ABC):
    """The images of one split, with an RGB image and a label for each index in [0, length).

    `labels[i]`, in [0, number of classes), belongs to `self[i]`; where the dataset gives the split `groups`, it is
    the number of a group.
    """

    labels: Sequence[int]
    unreadable: Tensor | None = None
    """Which images were found to be unreadable so far, [length], shared by all processes that load this split; None
    for images that can't be."""

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def __getitem__(self, index: int) -> Image: ...

    def name_of(self, index: int) -> str:
        """What a message calls an image."""
        return str(index)


class Options(Section):
    """The `data` section of a sweep file; each layout adds its own keys."""

    layout: str = "drawnet"


class Dataset(ABC):
    """Labelled images of one ID domain and several OOD domains over the same classes.

    Making one is cheap; the images are looked up when they are asked for.
    """

    name: ClassVar[str]
    """The layout's name in a sweep file."""
    Options: ClassVar[type[Options]] = Options

    def __init__(self, options: Options) -> None:
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
            UserError: if a folder or file is missing or wrong, with where it was looked for.
        """

    @abstractmethod
    def images(self, split: Split) -> LabelledImages:
        """The images of a split, always in the same order.

        Raises:
            UserError: as for `splits`.
        """

    def groups(self, split: Split) -> Sequence[Sequence[int]] | None:
        """The classes that each of the split's labels stands for; None where labels are the classes themselves.

        A group's logit is the largest of its classes' (WiSE-FT's rule for ObjectNet); classes in no group don't
        take part (ImageNet-A and -R: 200 groups of one).
        """
        return None

    def remarks(self) -> list[str]:
        """Facts about the data that a user should know, a line each, e.g. a test split that isn't the published one."""
        return []
