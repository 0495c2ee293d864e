"""ImageNet and the five sets that CLIP's robustness is measured on, evaluated as WiSE-FT does.

ID is ILSVRC2012. OOD are ImageNet-V2 (arXiv:1902.10811), ImageNet-R (2006.16241), ImageNet-A (1907.07174),
ImageNet-Sketch (1905.13549) and ObjectNet (Barbu et al. 2019), by the rules of github.com/mlfoundations/wise-ft.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from open_clip import IMAGENET_CLASSNAMES
from pydantic import AfterValidator
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from fpray.data import base
from fpray.data.base import Split
from fpray.data.encoded import ImageFiles
from fpray.data.folders import (
    TEMPLATES,
    Classes,
    Folder,
    Names,
    Root,
    Share,
    Templates,
    image_files,
    left_out_remarks,
    position,
    subfolders,
)
from fpray.data.objectnet import BorderlessImages, imagenet_classes
from fpray.errors import UserError, did_you_mean
from fpray.section import Section

SHIFTS = ("v2", "r", "a", "sketch", "objectnet")
ID_DOMAIN = "imagenet"
FolderClasses = Mapping[str, tuple[int, ...]]
"""The classes that the images of each folder may be classified as, in the order of the labels."""

_GROUPED = ("r", "a", "objectnet")
_NAMED = {"v2": "0 to 999", "objectnet": "as its mappings say"}
_NAMED |= {"r": "by the 200 wnids of ImageNet-R", "a": "by the 200 wnids of ImageNet-A"}


def _wnids(of: str) -> tuple[str, ...]:
    return tuple((files("timm.data") / "_info" / f"{of}_synsets.txt").read_text("utf-8").split())


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
    """Where each set is, relative to `data.root` or absolute. The defaults are where WiSE-FT looks."""

    train: Folder = "imagenet/train"
    val: Folder = "imagenet/val"
    """The validation set, in folders by wnid or flat as it is published; flat, it needs `devkit`."""
    devkit: Folder = "imagenet/ILSVRC2012_devkit_t12"
    v2: Folder = "imagenetv2-matched-frequency-format-val"
    r: Folder = "imagenet-r"
    a: Folder = "imagenet-a"
    sketch: Folder = "sketch"
    objectnet: Folder = "objectnet-1.0"
    """With `images` and `mappings` in it."""


class ImageNetOptions(base.Options):
    """Where the sets are, which of them and which classes take part, and what is set aside for validation.

    `id_val` is a share of ImageNet's training images, as model soups have it (arXiv:2203.05482); `ood_val` one of
    every OOD set, so test accuracies are those of the other images, where published ones are of whole sets.
    """

    layout: str = "imagenet"
    root: Root
    folders: Folders = Folders()
    ood: Annotated[Names, AfterValidator(_known_shifts)] = SHIFTS
    wnids: Annotated[Classes, AfterValidator(_known_wnids)] | None = None
    """The classes of a subset, such as ImageNet-100; without it, all 1000."""
    templates: Templates = TEMPLATES
    id_val: Share = 0.02
    ood_val: Share = 0.1


@dataclass(frozen=True)
class _Found:
    """What is in the folders: the classes of each set's folders, and the wnids of a flat validation set's images."""

    folders: Mapping[str, FolderClasses]
    val_wnids: Sequence[str] | None


class ImageNet(base.Dataset):
    """ImageNet with its distribution shifts; on a subset of the classes, all of them are cut down to it."""

    name = "imagenet"
    Options = ImageNetOptions

    def __init__(self, options: ImageNetOptions) -> None:
        super().__init__(options)
        self.options: ImageNetOptions = options
        kept = range(len(WNIDS)) if options.wnids is None else sorted(_CLASS_OF[wnid] for wnid in options.wnids)
        self._label_of = {index: label for label, index in enumerate(kept)}
        self._images: dict[Split, ImageFiles] = {}
        self._left_out: list[str] = []

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

    def remarks(self) -> list[str]:
        """What in the folders of the splits looked up so far is left out."""
        return left_out_remarks(self._left_out)

    @cached_property
    def _found(self) -> _Found:
        """Every folder and file but the images themselves, looked at once."""
        val = self._folder("val")
        flat = not subfolders(val, "data.folders.val")
        sets = ("train", *self.options.ood) if flat else ("train", "val", *self.options.ood)
        folders = {name: self._checked(name) for name in sets}
        return _Found(folders, validation_wnids(self._folder("devkit")) if flat else None)

    def _folder(self, name: str) -> Path:
        folder = Path(self.options.root) / getattr(self.options.folders, name)
        return folder / "images" if name == "objectnet" else folder

    def _checked(self, name: str) -> FolderClasses:
        """The folders of a set that have images of the chosen classes, which must all be there."""
        folder, key = self._folder(name), f"data.folders.{name}"
        present = subfolders(folder, key)
        known = _folder_classes(name, folder)
        for found in present:
            if found not in known:
                named = _NAMED.get(name, "by wnid, such as n01440764")
                raise UserError(f"{key}: '{folder / found}' is not one of the set's folders, named {named}; remove it")
        kept = {at: tuple(self._label_of[i] for i in of if i in self._label_of) for at, of in known.items()}
        kept = {at: of for at, of in kept.items() if of}
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
        """The split's images, and with them those of the split that shares its folder."""
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
        aside = [position(path.partition("/")[2]) < limit for path in paths]
        dealt = {}
        for split, is_val in ((val, True), (other, False)):
            own = [index for index, is_aside in enumerate(aside) if is_aside == is_val]
            if not own:
                raise UserError(f"data.{share}: {limit:g} of {len(paths)} images leaves {split.name} without any")
            dealt[split] = self._files(name, [paths[i] for i in own], [labels[i] for i in own])
        return dealt

    def _files(self, name: str, paths: Sequence[str], labels: Sequence[int]) -> ImageFiles:
        kind = BorderlessImages if name == "objectnet" else ImageFiles
        return kind(self._folder(name).parent, paths, labels)

    def _listed(self, name: str) -> tuple[list[str], list[int]]:
        """Paths, from the set's own folder on, and labels."""
        paths, labels = [], []
        for label, inner in enumerate(self._found.folders[name]):
            found = self._image_files(name, inner)
            paths += found
            labels += [label] * len(found)
        return paths, labels

    def _image_files(self, name: str, inner: str = "") -> list[str]:
        """The images in a set's folder or one inside it, while what else is there is noted."""
        folder = self._folder(name)
        images, left_out = image_files(
            folder.parent, f"{folder.name}/{inner}".rstrip("/"), f"data.folders.{name}", "unpack the whole set there"
        )
        self._left_out += left_out
        return images

    def _flat(self) -> tuple[list[str], list[int]]:
        """The same of validation images that are numbered in the order of the devkit's labels."""
        folder, wnids = self._folder("val"), self._found.val_wnids or ()
        paths = self._image_files("val")
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


def validation_wnids(devkit: Path) -> list[str]:
    """The wnid of each ILSVRC2012 validation image, in the order of their numbers.

    The ground truth's numbers are ILSVRC2012 ids, whose order is not that of the wnids; `meta.mat` translates.

    Raises:
        UserError: if a file of the devkit is missing or damaged.
    """
    meta, truth = devkit / "data" / "meta.mat", devkit / "data" / "ILSVRC2012_validation_ground_truth.txt"
    for file in (meta, truth):
        if not file.is_file():
            raise UserError(
                f"data.folders.devkit: there is no '{file}', which a validation set without folders by wnid needs; "
                "unpack ILSVRC2012_devkit_t12.tar.gz"
            )
    try:
        synsets = loadmat(str(meta), squeeze_me=True)["synsets"]
        pairs = zip(map(int, synsets["ILSVRC2012_ID"]), map(str, synsets["WNID"]), strict=True)
        wnid_of = {number: wnid for number, wnid in pairs if wnid in _CLASS_OF}  # not the hypernyms, which follow
    # What loadmat raises depends on where the file is damaged.
    except (OSError, ValueError, TypeError, KeyError, IndexError, MatReadError, zlib.error):
        raise _damaged(meta) from None
    if len(wnid_of) != len(WNIDS):
        raise _damaged(meta)
    try:
        return [wnid_of[int(line)] for line in truth.read_text("utf-8").split()]
    except (OSError, ValueError, KeyError):
        raise _damaged(truth) from None


def _damaged(file: Path) -> UserError:
    return UserError(f"data.folders.devkit: '{file}' is damaged; unpack it from ILSVRC2012_devkit_t12.tar.gz again")


def _folder_classes(name: str, folder: Path) -> FolderClasses:
    """The classes, in [0, 1000), of every folder that a set may have."""
    if name == "v2":  # labelled by number, which sorts as text: 0, 1, 10, ...
        return {str(index): (index,) for index in range(len(WNIDS))}
    if name == "objectnet":
        return imagenet_classes(folder.parent / "mappings")
    wnids = _wnids(f"imagenet_{name}") if name in ("r", "a") else WNIDS
    return {wnid: (_CLASS_OF[wnid],) for wnid in wnids}
