"""Domains in folders: `root/<domain>/<class>/<image>`, as PACS, OfficeHome, VLCS and TerraIncognita have them.

One domain is in-distribution, the others are OOD. No split lists are needed: the hash of an image's path decides its
split.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationInfo, field_validator, model_validator

from fpray.data import base
from fpray.data.base import Part, Role, Split
from fpray.data.encoded import ImageFiles
from fpray.data.folders import (
    IMAGENET_TEMPLATES,
    TOGETHER,
    Classes,
    ClassNames,
    FolderDataset,
    OneOrMoreNames,
    Share,
    Templates,
    UniqueNames,
    image_splits,
    position,
    prompt_name,
    subfolders,
)
from fpray.data.grouping import Groups, group_of
from fpray.data.paths import Root
from fpray.errors import UserError, did_you_mean

KEY, REMEDY = "data.root", "remove it or put images there"
"""Of messages about a class folder."""
PARTS: dict[Role, Sequence[Part]] = {"id": ("train", "val", "test"), "ood": ("val", "test")}
REMEDIES: dict[tuple[Role, Part], str] = {
    ("id", "train"): "lower data.id_val or data.id_test",
    ("id", "val"): "raise data.id_val",
    ("id", "test"): "raise data.id_test",
    ("ood", "val"): "raise data.ood_val",
    ("ood", "test"): "lower data.ood_val",
}


class DomainsOptions(base.DataOptions):
    """The folder of the domains, the domains and classes to use, and the shares of the splits."""

    layout: str = "domains"
    root: Root
    """The folder of the domains' folders."""
    id: OneOrMoreNames
    """The ID domain, the name of its folder; or several, whose images are trained on together, as DomainBed does."""
    ood: UniqueNames | None = None
    """The OOD domains; null for every domain but those of `id`."""
    classes: Classes | ClassNames | None = None
    """The class folders, or the class folders with their names in prompts; null for all folders of the ID domain."""
    templates: Templates | dict[str, Templates] = IMAGENET_TEMPLATES
    """The prompts that make the head, each with one `{}` for the class's name, as one list or as a list for each
    domain, which are then used together; without it, OpenAI's 80 for ImageNet."""
    id_val: Share = 0.1
    """The share of the ID domain's images for validation."""
    id_test: Share = 0.2
    """The share of the ID domain's images for the test."""
    ood_val: Share = 0.1
    """The share of each OOD domain's images for validation; the others are its test."""
    groups: Groups | None = None
    """What belongs together and is set aside together: a regular expression whose parts in brackets name a sequence,
    patient or camera in an image's path, `'/seq_(\\d+)_'`; or a .csv file of lines `path,group`."""

    @field_validator("ood")
    @classmethod
    def _not_the_id_domain(cls, ood: Sequence[str] | None, info: ValidationInfo) -> Sequence[str] | None:
        for domain in info.data.get("id", ()):
            if ood is not None and domain in ood:
                raise ValueError(f"'{domain}' is the ID domain; name others")
        return ood

    @field_validator("classes", mode="before")
    @classmethod
    def _folders_or_mapping(cls, written: Any) -> Any:
        return written if written is None else _one_of(written, Classes, ClassNames)

    @field_validator("templates", mode="before")
    @classmethod
    def _list_or_by_domain(cls, written: Any) -> Any:
        return _one_of(written, Templates, dict[str, Templates])

    @model_validator(mode="after")
    def _some_left_to_train(self) -> DomainsOptions:
        if self.id_val + self.id_test >= 1:
            raise ValueError(
                f"id_val {self.id_val:g} and id_test {self.id_test:g} leave nothing to train on; lower one"
            )
        return self


def _one_of(written: Any, listed: Any, mapped: Any) -> Any:
    """Validate a value as a mapping if it is one, else as a list; pydantic's errors for a union would name both."""
    if isinstance(written, Mapping):
        if not written:
            raise ValueError("is empty; leave it out or fill it")
        return TypeAdapter(mapped).validate_python(written)
    return TypeAdapter(listed).validate_python(written)


class Domains(FolderDataset):
    """A tree of domains, listed once, when its images are asked for."""

    name = "domains"
    Options = DomainsOptions
    options: DomainsOptions

    def __init__(self, options: DomainsOptions) -> None:
        super().__init__(options)
        self._root = Path(options.root)

    @property
    def classes(self) -> Sequence[str]:
        return tuple(self._names.values())

    @property
    def templates(self) -> Sequence[str]:
        templates = self.options.templates
        if isinstance(templates, Mapping):
            return tuple(dict.fromkeys(template for of_domain in templates.values() for template in of_domain))
        return templates

    def splits(self) -> Sequence[Split]:
        return tuple(self._images)

    def images(self, split: Split) -> ImageFiles:
        return self._images[split]

    @cached_property
    def _domains(self) -> dict[str, list[str]]:
        """The class folders of each domain, the ID domains first."""
        found = subfolders(self._root, "data.root")
        if not found:
            raise UserError(f"data.root: '{self._root}' has no folders; each domain must be one")
        ids = self.options.id
        ood = self.options.ood or [domain for domain in found if domain not in ids]
        for key, domain in [("id", domain) for domain in ids] + [("ood", domain) for domain in ood]:
            if domain not in found:
                raise UserError(f"data.{key}: no domain '{domain}' in '{self._root}'; {did_you_mean(domain, found)}")
        if not ood:
            raise UserError(f"data.ood: '{self._root}' has no domain besides '{', '.join(ids)}'; put others there")
        used = (*ids, *ood)
        for domain in self.options.templates if isinstance(self.options.templates, Mapping) else ():
            if domain not in used:
                raise UserError(f"data.templates: '{domain}' is no domain of this sweep; {did_you_mean(domain, used)}")
        return {domain: subfolders(self._root / domain, "data.root") for domain in used}

    @cached_property
    def _names(self) -> dict[str, str]:
        """The name in prompts of each class, by its folder, in the order of labels."""
        home, chosen = self._root / self.options.id[0], self.options.classes
        folders = self._domains[self.options.id[0]]
        if not folders:
            raise UserError(f"data.id: '{home}' has no folders; each class must be one")
        if chosen is None:
            if len(folders) < 2:
                raise UserError(
                    f"data.id: '{home}' has one class, '{folders[0]}', which leaves nothing to tell apart; add others"
                )
            self._require_same_classes(folders)
            chosen = tuple(folders)
        for folder in chosen:
            if folder not in folders:
                raise UserError(f"data.classes: no folder '{folder}' in '{home}'; {did_you_mean(folder, folders)}")
        names = dict(chosen) if isinstance(chosen, Mapping) else {folder: prompt_name(folder) for folder in chosen}
        folder_of: dict[str, str] = {}
        for folder, name in names.items():
            other = folder_of.setdefault(name, folder)
            if other != folder:
                raise UserError(
                    f"data.classes: '{other}' and '{folder}' in '{home}' are both called '{name}'; rename one"
                )
        return names

    def _require_same_classes(self, folders: Sequence[str]) -> None:
        home = self._root / self.options.id[0]
        for domain, others in self._domains.items():
            if self.options.ood is None:  # any folder in the root is taken for a domain
                self._require_any_class(domain, folders)
            for other in others:
                if other not in folders:
                    raise UserError(
                        f"data.classes: '{self._root / domain}' has a folder '{other}', '{home}' has not "
                        f"({did_you_mean(other, folders)}); rename it, or list the folders to use in data.classes"
                    )

    def _require_any_class(self, domain: str, classes: Iterable[str]) -> None:
        if not set(classes) & set(self._domains[domain]):
            remedy = "name others" if self.options.ood else "remove it, or list the domains in data.ood"
            raise UserError(f"data.ood: '{self._root / domain}' has none of the class folders; {remedy}")

    @cached_property
    def _images(self) -> dict[Split, ImageFiles]:
        names = self._names
        listed: dict[Split, list[tuple[str, int]]] = {}
        for domain, folders in self._domains.items():
            role: Role = "id" if domain in self.options.id else "ood"
            named = TOGETHER.join(self.options.id) if role == "id" else domain
            splits = {part: Split(role, named, part) for part in PARTS[role]}
            for split in splits.values():
                listed.setdefault(split, [])
            self._require_any_class(domain, names)
            for label, folder in enumerate(names):
                inside = f"{domain}/{folder}"
                files = self._image_files(self._root, inside, KEY, REMEDY) if folder in folders else []
                for path in files:
                    listed[splits[self._part(role, domain, path)]].append((path, label))
        return image_splits(self._root, listed, REMEDIES)

    @cached_property
    def _group_of(self) -> Callable[[str], str] | None:
        return None if self.options.groups is None else group_of(self.options.groups)

    def _part(self, role: Role, domain: str, path: str) -> Part:
        together = path if self._group_of is None else f"{domain}/{self._group_of(path)}"
        place, options = position(together, self.options.seed), self.options
        if role == "ood":
            return "val" if place < options.ood_val else "test"
        if place < options.id_test:
            return "test"
        return "val" if place < options.id_test + options.id_val else "train"
