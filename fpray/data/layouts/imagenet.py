"""ImageNet and the five sets that CLIP's robustness is measured on, evaluated as WiSE-FT does.

ID is ILSVRC2012. OOD are ImageNet-V2 (arXiv:1902.10811), ImageNet-R (2006.16241), ImageNet-A (1907.07174),
ImageNet-Sketch (1905.13549) and ObjectNet (Barbu et al. 2019), by the rules of github.com/mlfoundations/wise-ft.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from open_clip import IMAGENET_CLASSNAMES
from pydantic import AfterValidator, WithJsonSchema

from fpray.data import base
from fpray.data.base import Split
from fpray.data.devkit import validation_wnids
from fpray.data.encoded import ImageFiles
from fpray.data.folders import (
    IMAGENET_TEMPLATES,
    Classes,
    FolderDataset,
    Share,
    Templates,
    UniqueNames,
    position,
    subfolders,
)
from fpray.data.objectnet import BorderlessImages, imagenet_classes
from fpray.data.paths import Folder, Root
from fpray.errors import UserError, did_you_mean
from fpray.section import Section, one_or_several, several

SHIFTS = ("v2", "r", "a", "sketch", "objectnet")
ID_DOMAIN = "imagenet"
_SHIFTS = one_or_several({"enum": [*SHIFTS]})
_WNIDS = several({"type": "string", "pattern": r"^n\d{8}$"}, least=2)
FolderClasses = Mapping[str, tuple[int, ...]]
"""The classes that the images of each folder may be classified as, in the order of the labels."""

_GROUPED = ("r", "a", "objectnet")
_NAMED = {"v2": "0 to 999", "objectnet": "as its mappings say"}
_NAMED |= {"r": "by the 200 wnids of ImageNet-R", "a": "by the 200 wnids of ImageNet-A"}


def _wnids(name: str) -> tuple[str, ...]:
    return tuple((files("timm.data") / "_info" / f"{name}_synsets.txt").read_text("utf-8").split())


WNIDS = _wnids("imagenet")
"""The WordNet ids of the 1000 classes; the index is the class."""
_CLASS_OF = {wnid: index for index, wnid in enumerate(WNIDS)}


def _known_shifts(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in SHIFTS:
            raise ValueError(f"unknown set '{name}'; {did_you_mean(name, SHIFTS)}")
    return names


def _known_wnids(wnids: tuple[str, ...]) -> tuple[str, ...]:
    for wnid in wnids:
        if wnid not in _CLASS_OF:
            near = did_you_mean(wnid, WNIDS)
            hint = f"; {near}" if near.startswith("did") else ""  # not all 1000
            raise ValueError(f"'{wnid}' is not one of ImageNet's 1000 wnids{hint}")
    return wnids


class Folders(Section):
    """The folder of each set, relative to `data.root` or absolute. The defaults are WiSE-FT's."""

    train: Folder = "imagenet/train"
    """The training set, in folders by wnid."""
    val: Folder = "imagenet/val"
    """The validation set, in folders by wnid or flat as it is published; flat, it needs `devkit`."""
    devkit: Folder = "imagenet/ILSVRC2012_devkit_t12"
    """ILSVRC2012's devkit, unpacked."""
    v2: Folder = "imagenetv2-matched-frequency-format-val"
    """ImageNet-V2, in folders by number."""
    r: Folder = "imagenet-r"
    """ImageNet-R, in folders by wnid."""
    a: Folder = "imagenet-a"
    """ImageNet-A, in folders by wnid."""
    sketch: Folder = "sketch"
    """ImageNet-Sketch, in folders by wnid."""
    objectnet: Folder = "objectnet-1.0"
    """ObjectNet, with the folders `images` and `mappings` in it."""


class ImageNetOptions(base.DataOptions):
    """The folders of the sets, the sets and classes to use, and the shares for validation.

    `id_val` is a share of ImageNet's training images, as in model soups (arXiv:2203.05482). `ood_val` is a share of
    every OOD set: test accuracies are of the other images, while published ones are of whole sets.
    """

    layout: str = "imagenet"
    root: Root
    """The folder of the sets."""
    folders: Folders = Folders()
    """The folder of each set, relative to `root` or absolute."""
    ood: Annotated[UniqueNames, AfterValidator(_known_shifts), WithJsonSchema(_SHIFTS)] = SHIFTS
    """The OOD sets."""
    wnids: Annotated[Classes, AfterValidator(_known_wnids), WithJsonSchema(_WNIDS)] | None = None
    """The classes of a subset, such as ImageNet-100, by their WordNet ids; null for all 1000."""
    templates: Templates = IMAGENET_TEMPLATES
    """The prompts that make the head, each with one `{}` for the class's name; without it, OpenAI's 80 for ImageNet."""
    id_val: Share = 0.02
    """The share of ImageNet's training images for validation."""
    ood_val: Share = 0.1
    """The share of each OOD set for validation; the rest is its test."""


@dataclass(frozen=True)
class _Found:
    """The classes of each set's folders, and the wnids of a flat validation set's images."""

    folders: Mapping[str, FolderClasses]
    val_wnids: Sequence[str] | None


class ImageNet(FolderDataset):
    """ImageNet with its distribution shifts; on a subset of the classes, all of them are cut down to it."""

    name = "imagenet"
    Options = ImageNetOptions
    options: ImageNetOptions

    def __init__(self, options: ImageNetOptions) -> None:
        super().__init__(options)
        kept = range(len(WNIDS)) if options.wnids is None else sorted(_CLASS_OF[wnid] for wnid in options.wnids)
        self._label_of = {index: label for label, index in enumerate(kept)}
        self._images: dict[Split, ImageFiles] = {}

    @property
    def classes(self) -> Sequence[str]:
        return tuple(IMAGENET_CLASSNAMES[index] for index in self._label_of)

    @property
    def templates(self) -> Sequence[str]:
        return self.options.templates

    def splits(self) -> Sequence[Split]:
        shifts = [domain for domain in self._found.folders if domain not in ("train", "val")]
        return (
            *(Split("id", ID_DOMAIN, part) for part in ("train", "val", "test")),
            *(Split("ood", domain, part) for domain in shifts for part in ("val", "test")),
        )

    def images(self, split: Split) -> ImageFiles:
        if split not in self._images:
            self._images |= self._look_up(split)
        return self._images[split]

    def groups(self, split: Split) -> Sequence[Sequence[int]] | None:
        return tuple(self._found.folders[split.domain].values()) if split.domain in _GROUPED else None

    @cached_property
    def _found(self) -> _Found:
        """The class folders and the devkit's labels, read once; images themselves are not looked up."""
        val = self._folder("val")
        flat = not subfolders(val, "data.folders.val")
        sets = ("train", *self.options.ood) if flat else ("train", "val", *self.options.ood)
        folders = {name: self._class_folders(name) for name in sets}
        return _Found(folders, validation_wnids(self._folder("devkit"), WNIDS) if flat else None)

    def _folder(self, name: str) -> Path:
        inside: str = getattr(self.options.folders, name)
        folder = Path(self.options.root) / inside
        return folder / "images" if name == "objectnet" else folder

    def _class_folders(self, name: str) -> FolderClasses:
        """The folders of a set that have images of the chosen classes; a `UserError` if one of them is missing."""
        folder, key = self._folder(name), f"data.folders.{name}"
        present = subfolders(folder, key)
        known = _folder_classes(name, folder)
        for found in present:
            if found not in known:
                named = _NAMED.get(name, "by wnid, such as n01440764")
                raise UserError(f"{key}: '{folder / found}' is not one of the set's folders, named {named}; remove it")
        kept = {
            inner: labels
            for inner, classes in known.items()
            if (labels := tuple(self._label_of[index] for index in classes if index in self._label_of))
        }
        if not kept:
            raise UserError(f"data.ood: '{name}' has none of the classes in data.wnids; leave it out")
        if missing := sorted(kept.keys() - set(present)):
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise UserError(
                f"{key}: '{folder}' lacks '{missing[0]}'{more} of its {len(kept)} folders; "
                "unpack the whole set, or name the classes that you have in data.wnids"
            )
        return kept

    def _look_up(self, split: Split) -> dict[Split, ImageFiles]:
        """The split's images, and those of the split that shares its folder, if one does."""
        val = replace(split, part="val")
        if split.role == "ood":
            return self._share_out(split.domain, "ood_val", val, replace(split, part="test"))
        if split.part != "test":
            return self._share_out("train", "id_val", val, replace(split, part="train"))
        listed = self._listed("val") if self._found.val_wnids is None else self._flat()
        return {split: self._files("val", *listed)}

    def _share_out(self, name: str, share: str, val: Split, other: Split) -> dict[Split, ImageFiles]:
        paths, labels = self._listed(name)
        limit: float = getattr(self.options, share)
        # The set's own folder may have another name on another machine, so its name doesn't take part.
        aside = [position(path.partition("/")[2], self.options.seed) < limit for path in paths]
        images = {}
        for split, is_val in ((val, True), (other, False)):
            own = [index for index, is_aside in enumerate(aside) if is_aside == is_val]
            if not own:
                raise UserError(f"data.{share}: {limit:g} of {len(paths)} images leaves {split.name} without any")
            images[split] = self._files(name, [paths[i] for i in own], [labels[i] for i in own])
        return images

    def _files(self, name: str, paths: Sequence[str], labels: Sequence[int]) -> ImageFiles:
        kind = BorderlessImages if name == "objectnet" else ImageFiles
        return kind(self._folder(name).parent, paths, labels)

    def _listed(self, name: str) -> tuple[list[str], list[int]]:
        """The paths of a set's images, which begin with the name of the set's folder, and their labels."""
        paths, labels = [], []
        for label, inner in enumerate(self._found.folders[name]):
            found = self._files_of(name, inner)
            paths += found
            labels += [label] * len(found)
        return paths, labels

    def _files_of(self, name: str, inner: str = "") -> list[str]:
        """The images in a set's folder or one inside it."""
        folder = self._folder(name)
        inside, key = f"{folder.name}/{inner}".rstrip("/"), f"data.folders.{name}"
        return self._image_files(folder.parent, inside, key, "unpack the whole set there")

    def _flat(self) -> tuple[list[str], list[int]]:
        """Paths and labels of validation images without folders, numbered in the order of the devkit's labels."""
        folder, wnids = self._folder("val"), self._found.val_wnids or ()
        paths = self._files_of("val")
        if len(paths) != len(wnids):
            raise UserError(
                f"data.folders.val: '{folder}' has {len(paths)} images, but the devkit labels {len(wnids)}; "
                "unpack ILSVRC2012_img_val.tar again"
            )
        for number, path in enumerate(paths, 1):
            if Path(path).stem != f"ILSVRC2012_val_{number:08}":
                raise UserError(
                    f"data.folders.val: '{folder.parent / path}' stands where ILSVRC2012_val_{number:08}.JPEG should; "
                    "unpack ILSVRC2012_img_val.tar again"
                )
        labels = [self._label_of.get(_CLASS_OF[wnid]) for wnid in wnids]
        kept = [(path, label) for path, label in zip(paths, labels, strict=True) if label is not None]
        return [path for path, _ in kept], [label for _, label in kept]


def _folder_classes(name: str, folder: Path) -> FolderClasses:
    """The classes, in [0, 1000), of every folder that a set may have."""
    if name == "v2":  # labelled by number, which sorts as text: 0, 1, 10, ...
        return {str(index): (index,) for index in range(len(WNIDS))}
    if name == "objectnet":
        return imagenet_classes(folder.parent / "mappings")
    wnids = _wnids(f"imagenet_{name}") if name in ("r", "a") else WNIDS
    return {wnid: (_CLASS_OF[wnid],) for wnid in wnids}
