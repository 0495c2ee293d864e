"""What a dataset is: domains with a role, split into parts, each a list of labelled images.

A new dataset is one module in `fpray/data/` that defines one subclass of `Dataset`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

from PIL.Image import Image

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


class LabelledImages(Protocol):
    """The images of one split. `labels[i]` in [0, number of classes) belongs to `self[i]`."""

    labels: Sequence[int]

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Image: ...


class Options(Section):
    """The `data` section of a sweep file; each dataset adds its own keys."""

    dataset: str = "drawnet"


class Dataset(ABC):
    """Labelled images of one ID domain and several OOD domains over the same classes."""

    name: ClassVar[str]
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
        """Every split, in a fixed order: `id/train`, `id/val`, `id/test`, then the OOD domains'."""

    @abstractmethod
    def images(self, split: Split) -> LabelledImages:
        """The images of a split, always in the same order."""
