"""DomainNet (Peng et al. 2019, arXiv:1812.01754): six domains, 345 classes, with its official lists.

`root/<domain>_train.txt` and `root/<domain>_test.txt` list the images in `root/<domain>/<class>/` with their labels.
The test splits are whole test lists, so that accuracies are comparable to published ones; validation images come from
the train lists.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, ValidationInfo, WithJsonSchema, field_validator

from fpray.data import base
from fpray.data.base import Part, Role, Split
from fpray.data.encoded import ImageFiles
from fpray.data.folders import (
    IMAGENET_TEMPLATES,
    TOGETHER,
    Classes,
    OneOrMoreNames,
    Share,
    Templates,
    UniqueNames,
    image_splits,
    position,
    prompt_name,
    subfolders,
)
from fpray.data.paths import Root
from fpray.errors import UserError, did_you_mean, message_of
from fpray.section import one_or_several

ORIGINAL_TEST = {
    "real": 52764,
    "sketch": 21271,
    "clipart": 14814,
    "painting": 22892,
    "infograph": 16114,
    "quickdraw": 51750,
}
"""The number of test images of each domain in the lists as they were published first, which hold images twice: 1.4 % of
real's, 4.6 % of painting's."""
CLEANED_TEST = {
    "real": 52041,
    "sketch": 20916,
    "clipart": 14604,
    "painting": 21850,
    "infograph": 15582,
    "quickdraw": 51750,
}
"""The number in the cleaned lists, which the authors' page offers first (ai.bu.edu/M3SDA) and DomainBed uses."""
NUM_CLASSES = 345
DOMAINS = tuple(CLEANED_TEST)
_DOMAIN = {"enum": sorted(DOMAINS)}

REMEDIES: dict[tuple[Role, Part], str] = {
    ("id", "train"): "lower data.id_val, or choose other classes",
    ("id", "val"): "raise data.id_val, or choose other classes",
    ("id", "test"): "its test list has none; choose other classes",
    ("ood", "val"): "raise data.ood_val, or choose other classes",
    ("ood", "test"): "its test list has none; choose other classes",
}


def _domain(name: str) -> str:
    if name not in DOMAINS:
        raise ValueError(f"no domain '{name}' in DomainNet; {did_you_mean(name, DOMAINS)}")
    return name


OF_DOMAINNET = AfterValidator(lambda names: tuple(map(_domain, names)))


class DomainNetOptions(base.DataOptions):
    """The folder of DomainNet, the domains and classes to use, and the shares for validation."""

    layout: str = "domainnet"
    root: Root
    """DomainNet's folder, with the lists and the folders of the domains."""
    id: Annotated[OneOrMoreNames, OF_DOMAINNET, WithJsonSchema(one_or_several(_DOMAIN))] = ("real",)
    """The ID domain; or several, whose images are trained on together, as DomainBed does."""
    ood: Annotated[UniqueNames, OF_DOMAINNET, WithJsonSchema(one_or_several(_DOMAIN))] | None = None
    """The OOD domains; null for all five but `id`."""
    classes: Classes | None = None
    """The class folders; null for all that are in the lists."""
    templates: Templates = IMAGENET_TEMPLATES
    """The prompts that make the head, each with one `{}` for the class's name; without it, OpenAI's 80 for ImageNet."""
    id_val: Share = 0.02
    """The share of the ID domain's training list for validation."""
    ood_val: Share = 0.1
    """The share of each OOD domain's training list for validation; its test list is its test."""

    @field_validator("ood")
    @classmethod
    def _others_than_id(cls, ood: Sequence[str] | None, info: ValidationInfo) -> Sequence[str] | None:
        for name in ood or ():
            if name in info.data.get("id", ()):
                raise ValueError(f"'{name}' is the ID domain; name others")
        return ood


class Listed(NamedTuple):
    """A line of a list."""

    path: str
    folder: str
    label: int


class DomainNet(base.Dataset):
    """DomainNet by its lists, which are read once, when images are asked for; image files are not looked up."""

    name = "domainnet"
    Options = DomainNetOptions
    options: DomainNetOptions

    def __init__(self, options: DomainNetOptions) -> None:
        super().__init__(options)
        self._root = Path(options.root)

    @property
    def classes(self) -> Sequence[str]:
        return tuple(prompt_name(folder) for folder in self._found[0])

    @property
    def templates(self) -> Sequence[str]:
        return self.options.templates

    def splits(self) -> Sequence[Split]:
        return tuple(self._found[1])

    def images(self, split: Split) -> ImageFiles:
        return self._found[1][split]

    def remarks(self) -> list[str]:
        """Which of the two published lists these are, or a line about each test split that is in neither; nothing where
        not all 345 classes are used."""
        labels, images = self._found
        if len(labels) < NUM_CLASSES:
            return []
        counts = {split: len(of_split) for split, of_split in images.items() if split.part == "test"}
        if all(count == _published(CLEANED_TEST, split) for split, count in counts.items()):
            return ["these are DomainNet's cleaned lists: compare with DomainBed's figures, not with TPGM's or FTP's"]
        if all(count == _published(ORIGINAL_TEST, split) for split, count in counts.items()):
            return [
                "these are DomainNet's original lists, in which up to 5 % of a domain's test images are there twice: "
                "prefer the cleaned ones, or compare with TPGM's and FTP's figures, not with DomainBed's"
            ]
        return [
            f"{split.name}: {count:,} images; the cleaned lists have {_published(CLEANED_TEST, split):,}, the original "
            f"ones {_published(ORIGINAL_TEST, split):,}"
            for split, count in counts.items()
            if count not in (_published(CLEANED_TEST, split), _published(ORIGINAL_TEST, split))
        ] or ["some of these lists are DomainNet's cleaned ones, some its original ones: take all of one kind"]

    @cached_property
    def _found(self) -> tuple[dict[str, int], dict[Split, ImageFiles]]:
        """The labels of the class folders in use, and the images of each split."""
        lists = self._read_lists()
        labels = self._labels(lists)
        listed: dict[Split, list[tuple[str, int]]] = {}
        for (domain, part), lines in lists.items():
            self._require_folders(domain, labels.keys() & {line.folder for line in lines})
            images = [(line.path, labels[line.folder]) for line in lines if line.folder in labels]
            for split, own in self._share_out(domain, part, images).items():
                listed.setdefault(split, []).extend(own)
        return labels, image_splits(self._root, listed, REMEDIES)

    def _read_lists(self) -> dict[tuple[str, Part], list[Listed]]:
        """The lists of each domain, the ID domains first."""
        ood = self.options.ood or [domain for domain in sorted(ORIGINAL_TEST) if domain not in self.options.id]
        official = OfficialLabels()
        parts: tuple[Part, ...] = ("train", "test")
        lists: dict[tuple[str, Part], list[Listed]] = {}
        for domain in (*self.options.id, *ood):
            seen: dict[str, Path] = {}
            for part in parts:
                file = self._root / f"{domain}_{part}.txt"
                lists[domain, part] = read_list(file, domain, official)
                _require_each_once(lists[domain, part], seen, file)
        return lists

    def _require_folders(self, domain: str, listed: set[str]) -> None:
        there = set(subfolders(self._root / domain, "data.root"))
        if missing := sorted(listed - there):
            raise UserError(
                f"data.root: the lists of '{domain}' have images in '{self._root / domain / missing[0]}', "
                "but there is no such folder; unpack the domain's images there"
            )

    def _labels(self, lists: Mapping[tuple[str, Part], Sequence[Listed]]) -> dict[str, int]:
        """The labels, from 0 on, of the class folders in use, in the order of the official labels."""
        official = {line.folder: line.label for lines in lists.values() for line in lines}
        chosen = official if self.options.classes is None else self.options.classes
        for folder in chosen:
            if folder not in official:
                raise UserError(f"data.classes: no class '{folder}' in the lists; {did_you_mean(folder, official)}")
        if len(chosen) < 2:
            raise UserError(
                f"data.root: the lists in '{self._root}' have one class, which leaves nothing to tell apart"
            )
        return {folder: label for label, folder in enumerate(sorted(chosen, key=lambda folder: official[folder]))}

    def _share_out(self, domain: str, part: Part, images: list[tuple[str, int]]) -> dict[Split, list[tuple[str, int]]]:
        """The splits of a list's images. Of an OOD domain's train list only the validation share is used."""
        role: Role = "id" if domain in self.options.id else "ood"
        named = TOGETHER.join(self.options.id) if role == "id" else domain
        if part == "test":
            return {Split(role, named, "test"): images}
        share = self.options.id_val if role == "id" else self.options.ood_val
        val = [image for image in images if position(image[0], self.options.seed) < share]
        if role == "ood":
            return {Split(role, named, "val"): val}
        train = [image for image in images if position(image[0], self.options.seed) >= share]
        return {Split(role, named, "train"): train, Split(role, named, "val"): val}


def _published(counts: Mapping[str, int], split: Split) -> int:
    """The number of a test split's images in published lists, of all its domains."""
    return sum(counts[domain] for domain in split.domain.split(TOGETHER))


class OfficialLabels:
    """The label of each class folder in the lists read so far, and the line that gave it first."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[int, str]] = {}
        self._folder_of: dict[int, str] = {}

    def add(self, folder: str, label: int, file: Path, number: int) -> None:
        """Add the label of a class folder, from a line of a list.

        Raises:
            UserError: if the label is out of range or contradicts an earlier line.
        """
        if self._folder_of.get(label) == folder:
            return
        place = f"'{file}', line {number}"
        if label not in range(NUM_CLASSES):
            raise UserError(
                f"data.root: {place}: label {label} is out of range, DomainNet's are 0 to {NUM_CLASSES - 1}"
            )
        if folder in self._first:
            before, where = self._first[folder]
            raise UserError(f"data.root: {place}: class '{folder}' has label {label}, but {before} in {where}")
        if label in self._folder_of:
            other = self._folder_of[label]
            where = self._first[other][1]
            raise UserError(f"data.root: {place}: class '{folder}' has label {label}, as '{other}' in {where}")
        self._first[folder], self._folder_of[label] = (label, place), folder


def read_list(file: Path, domain: str, official: OfficialLabels) -> list[Listed]:
    """Read one of DomainNet's lists: a line for each image, `<domain>/<class>/<file> <label>`.

    Raises:
        UserError: if it can't be read, or for the first wrong line, with its number.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError:
        raise UserError(f"data.root: DomainNet's list '{file.name}' is missing; looked in '{file.parent}'") from None
    except UnicodeDecodeError:
        raise UserError(f"data.root: '{file}' is not text in UTF-8; download it again") from None
    except OSError as error:
        raise UserError(f"data.root: can't read '{file}': {message_of(error)}") from None
    well_formed = re.compile(rf"({domain}/((?!\.\.?/)[^/]+)/(?!\.\.? )[^/]+) (\d+)", re.ASCII)
    read = []
    for number, line in enumerate(lines, 1):
        if matched := well_formed.fullmatch(line.rstrip()):
            path, folder, label = matched.groups()
            official.add(folder, int(label), file, number)
            read.append(Listed(path, folder, int(label)))
        elif line.strip():
            raise UserError(
                f"data.root: '{file}', line {number}: '{line.strip()}' is not '{domain}/<class>/<image> <label>'"
            )
    if not read:
        raise UserError(f"data.root: the list '{file}' is empty; download it again")
    return read


def _require_each_once(lines: Sequence[Listed], seen: dict[str, Path], file: Path) -> None:
    """Add the paths in a domain's list to those `seen`, by the list they are in.

    Raises:
        UserError: for the first path that is in the domain's lists twice.
    """
    for line in lines:
        if line.path in seen:
            raise UserError(
                f"data.root: '{line.path}' is listed in '{seen[line.path]}' and again in '{file}'; remove one line"
            )
        seen[line.path] = file
