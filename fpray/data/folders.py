"""Datasets in folders: listing folders and images, splitting images by hash, and the types of their options."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence, Sized
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, TypeVar

from open_clip import OPENAI_IMAGENET_TEMPLATES
from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from fpray.console import many
from fpray.data.base import DataOptions, Dataset, Part, Role, Split
from fpray.data.encoded import SUFFIXES, ImageFiles, readable
from fpray.errors import UserError, message_of
from fpray.section import one_or_several, several

IMAGENET_TEMPLATES: tuple[str, ...] = tuple(template("{}") for template in OPENAI_IMAGENET_TEMPLATES)
"""OpenAI's 80 ImageNet prompts (github.com/openai/CLIP)."""
TOGETHER = "+"
"""Between the names of ID domains whose images are one split's."""
_SHOWN = 5
"""Paths that a remark names."""
_Classes = TypeVar("_Classes", bound=Sized)


def _one_place(template: str) -> str:
    if template.count("{}") != 1:
        raise ValueError(f"'{template}' needs exactly one {{}}, where the class name goes")
    return template


def _between_0_and_1(written: Any) -> Any:
    if not isinstance(written, int | float) or not 0 < written < 1:
        raise ValueError(f"must be a share between 0 and 1, not {written!r}")
    return written


def _list(written: Any) -> Any:
    listed = [written] if isinstance(written, str) else written
    if not isinstance(listed, Sequence):
        raise ValueError(f"must be a list, not {written!r}")
    if not listed:
        raise ValueError("is an empty list; leave it out or fill it")
    return listed


def _one_or_list(written: Any) -> Any:
    return _list(written if isinstance(written, list | tuple) else [written])


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"'{name}' is there twice; name each once")
    return names


def _not_blank(name: str) -> str:
    if not name.strip():
        raise ValueError("an empty name says nothing; write one")
    return name


def _two_or_more(classes: _Classes) -> _Classes:
    if len(classes) < 2:
        raise ValueError("one class leaves nothing to tell apart; name two or more")
    return classes


Share = Annotated[float, BeforeValidator(_between_0_and_1, json_schema_input_type=Annotated[float, Field(gt=0, lt=1)])]
"""The share of a domain's images that is set aside, between 0 and 1."""
Template = Annotated[str, AfterValidator(_one_place)]
"""A prompt with one `{}` for the class name."""
_TEMPLATE = {"type": "string", "pattern": r"\{\}"}
_TEMPLATES = {"anyOf": [_TEMPLATE, {"type": "array", "items": _TEMPLATE, "minItems": 1}]}
Templates = Annotated[tuple[Template, ...], BeforeValidator(_list), WithJsonSchema(_TEMPLATES)]
"""The prompts that make the head."""
_NAME = {"type": "string", "pattern": r"\S"}
Name = Annotated[str, AfterValidator(_not_blank), WithJsonSchema(_NAME)]
UniqueNames = Annotated[
    tuple[Name, ...], BeforeValidator(_list), AfterValidator(_each_once), WithJsonSchema(one_or_several(_NAME))
]
"""Names of domains or class folders, each once."""
OneOrMoreNames = Annotated[
    tuple[Name, ...],
    BeforeValidator(_one_or_list),
    AfterValidator(_each_once),
    PlainSerializer(lambda names: names[0] if len(names) == 1 else list(names)),
    WithJsonSchema(one_or_several(_NAME)),
]
"""The same, where one is the usual case and is written alone."""
Classes = Annotated[UniqueNames, AfterValidator(_two_or_more), WithJsonSchema(several(_NAME, least=2))]
"""Classes by their names, ids or folders, each once."""
ClassNames = Annotated[dict[str, Name], AfterValidator(_two_or_more), Field(json_schema_extra={"minProperties": 2})]
"""The name of each class in prompts, by its folder."""


def position(path: str, seed: int) -> float:
    """The position in [0, 1) of a path (relative to the dataset's root, with `/`), by its hash.

    It depends on the path and the draw's seed alone, so an image stays in its split when others come or go.
    """
    digest = blake2b(os.fsencode(path), digest_size=8, salt=seed.to_bytes(16, "little")).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53  # 53 bits: more would round up to 1


def subfolders(folder: Path, key: str) -> list[str]:
    """The sorted names of the folders in a folder, links to folders included and hidden ones left out.

    Args:
        folder: the folder to list.
        key: the sweep file's key that messages start with, e.g. `data.root`.

    Raises:
        UserError: if it is missing, a file or unreadable, or has a link that leads nowhere.
    """
    return sorted(entry.name for entry in _entries(folder, key) if entry.is_dir())


def count_images(folder: Path, key: str) -> int:
    """The number of images directly in a folder.

    Raises:
        UserError: as for `subfolders`.
    """
    return sum(map(_is_image, _entries(folder, key)))


def image_files(root: Path, folder: str, key: str, remedy: str) -> tuple[list[str], list[str]]:
    """List the images directly in `root/folder`, and the other things there.

    Args:
        root, folder: the folder to list.
        key: the sweep file's key that messages start with, as for `subfolders`.
        remedy: the advice in the message if there is no image.

    Returns:
        The sorted paths, relative to the root and with `/`, of the images and of the things left out, which are
        folders if their paths end in `/`.

    Raises:
        UserError: as for `subfolders`, or if there is no image.
    """
    images, others = [], []
    for entry in _entries(root / folder, key):
        if _is_image(entry):
            images.append(f"{folder}/{entry.name}")
        else:
            others.append(f"{folder}/{entry.name}{'/' if entry.is_dir() else ''}")
    if not images:
        raise UserError(f"{key}: '{root / folder}' has no images ({', '.join(SUFFIXES)}); {remedy}")
    return sorted(images), sorted(others)


def images_below(root: Path, key: str) -> list[str]:
    """The sorted paths, relative to the root and with `/`, of the images in it and in all folders below it.

    Raises:
        UserError: as for `subfolders`.
    """
    images, seen, folders = list[str](), set[tuple[int, int]](), [""]
    while folders:
        folder = folders.pop()
        for entry in _entries(root / folder, key):
            path = f"{folder}/{entry.name}" if folder else entry.name
            if _is_image(entry):
                images.append(path)
            elif entry.is_dir() and (place := (entry.stat().st_dev, entry.stat().st_ino)) not in seen:
                seen.add(place)  # a link may lead back
                folders.append(path)
    return sorted(images)


def _is_image(entry: os.DirEntry[str]) -> bool:
    return entry.name.lower().endswith(SUFFIXES) and entry.is_file()  # not a pipe, which would be waited for


class FolderDataset(Dataset):
    """A dataset of image files in class folders; what else lies in those is left out, and told."""

    def __init__(self, options: DataOptions) -> None:
        super().__init__(options)
        self._left_out: list[str] = []

    def remarks(self) -> list[str]:
        """A line about the files and folders in class folders that are left out, of those looked into so far."""
        return left_out_remarks(self._left_out)

    def _image_files(self, root: Path, folder: str, key: str, remedy: str) -> list[str]:
        """The images directly in a folder, see `image_files`; other things there are left out."""
        images, left_out = image_files(root, folder, key, remedy)
        self._left_out += left_out
        return images


def left_out_remarks(left_out: Sequence[str]) -> list[str]:
    """A line about the paths that `image_files` left out; no line if it left none out."""
    if not left_out:
        return []
    folders = sum(path.endswith("/") for path in left_out)
    more = ", ..." if len(left_out) > _SHOWN else ""
    return [
        f"{many(len(left_out) - folders, 'file')} and {many(folders, 'folder')} in class folders are left out, being "
        f"no files that end in {', '.join(SUFFIXES)}: {', '.join(left_out[:_SHOWN])}{more}"
    ]


def prompt_name(folder: str) -> str:
    """The name in prompts of the class in a folder."""
    return folder.replace("_", " ")


def image_splits(
    root: Path, listed: Mapping[Split, Sequence[tuple[str, int]]], remedies: Mapping[tuple[Role, Part], str]
) -> dict[Split, ImageFiles]:
    """The images of each split.

    Args:
        root: the folder that paths are relative to.
        listed: the path and label of each image, by split.
        remedies: the advice, by the role and part of a split that has no images.

    Raises:
        UserError: if a split has no images.
    """
    for split, images in listed.items():
        if not images:
            remedy = remedies[split.role, split.part]
            raise UserError(f"data: no images of '{split.domain}' are left for {split.name}; {remedy}")
    return {
        split: ImageFiles(root, [path for path, _ in images], [label for _, label in images])
        for split, images in listed.items()
    }


def _entries(folder: Path, key: str) -> Iterator[os.DirEntry[str]]:
    """The files and folders in a folder, hidden ones left out and links followed."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if (shown := readable(entry.name)) != entry.name:
                    raise UserError(f"{key}: the name of '{folder}/{shown}' is not UTF-8; rename it")
                if entry.is_symlink():
                    _require_target(entry, key)
                yield entry
    except FileNotFoundError:
        raise UserError(f"{key}: there is no such folder; looked in '{folder}'") from None
    except NotADirectoryError:
        raise UserError(f"{key}: '{folder}' is a file; give a folder") from None
    except OSError as error:
        place, why = error.filename or folder, message_of(error)
        raise UserError(f"{key}: can't read '{place}': {why}; mend or remove it") from None


def _require_target(link: os.DirEntry[str], key: str) -> None:
    try:
        link.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{key}: the link '{link.path}' leads nowhere; mend or remove it") from None
