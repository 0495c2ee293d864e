"""What datasets that lie in folders share: listing folders and images, sharing images out by hash, and options."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping, Sequence, Sized
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, TypeVar

from open_clip import OPENAI_IMAGENET_TEMPLATES
from pydantic import AfterValidator, BeforeValidator, Field

from fpray.data.base import Part, Role, Split
from fpray.data.encoded import SUFFIXES, ImageFiles, readable
from fpray.errors import UserError
from fpray.storage import from_home

TEMPLATES: tuple[str, ...] = tuple(template("{}") for template in OPENAI_IMAGENET_TEMPLATES)
"""OpenAI's 80 ImageNet prompts (github.com/openai/CLIP)."""
_SHOWN = 5
"""Paths that a remark names."""
_Classes = TypeVar("_Classes", bound=Sized)


def _one_place(template: str) -> str:
    if template.count("{}") != 1:
        raise ValueError(f"'{template}' needs exactly one {{}}, where the class name goes")
    return template


def _at_home(path: str) -> str:
    if "\0" in path:
        raise ValueError("has a NUL character in it; remove that")
    return from_home(path)


def _there(root: str) -> str:
    return str(Path(root).absolute())


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


Share = Annotated[float, BeforeValidator(_between_0_and_1)]
"""A part of a domain's images that is set aside."""
Template = Annotated[str, AfterValidator(_one_place)]
"""A prompt with one `{}` for the class name."""
Templates = Annotated[tuple[Template, ...], BeforeValidator(_list)]
"""The prompts that make the head."""
Name = Annotated[str, AfterValidator(_not_blank)]
Names = Annotated[tuple[Name, ...], BeforeValidator(_list), AfterValidator(_each_once)]
"""Names of domains or class folders, each once."""
Classes = Annotated[Names, AfterValidator(_two_or_more)]
"""Classes by their names, ids or folders, each once."""
ClassNames = Annotated[dict[str, Name], AfterValidator(_two_or_more)]
"""What prompts call the class in each folder."""
Folder = Annotated[str, Field(min_length=1), AfterValidator(_at_home)]
"""A folder, with the home folder that a `~` stands for."""
Root = Annotated[Folder, AfterValidator(_there)]
"""The dataset's folder, made absolute: workers may run in another folder than the command."""


def position(path: str) -> float:
    """Where a path (relative to the dataset's root, with `/`) falls in [0, 1), by hash.

    It depends on nothing but the path, so an image stays in its split when others come or go.
    """
    digest = blake2b(os.fsencode(path), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53  # 53 bits: more would round up to 1


def subfolders(folder: Path, what: str) -> list[str]:
    """Sorted names of the folders in a folder, links to folders included and hidden ones left out.

    Args:
        folder: where to look.
        what: what a message starts with, the sweep file's key, e.g. `data.root`.

    Raises:
        UserError: if it is missing, a file or unreadable, or has a link that leads nowhere or in a circle.
    """
    return sorted(entry.name for entry in _entries(folder, what) if entry.is_dir())


def image_files(root: Path, folder: str, what: str, remedy: str) -> tuple[list[str], list[str]]:
    """Sorted paths, relative to the root and with `/`, of the images directly in `root/folder`, and of what else is.

    Args:
        root, folder: where to look.
        what: what a message starts with, as for `subfolders`.
        remedy: what to do where there is no image.

    Returns:
        The images; and what is left out, folders with a `/` at the end.

    Raises:
        UserError: as for `subfolders`, or if there is no image.
    """
    images, others = [], []
    for entry in _entries(root / folder, what):
        if entry.name.lower().endswith(SUFFIXES) and entry.is_file():  # not a pipe, which would be waited for
            images.append(f"{folder}/{entry.name}")
        else:
            others.append(f"{folder}/{entry.name}{'/' if entry.is_dir() else ''}")
    if not images:
        raise UserError(f"{what}: '{root / folder}' has no images ({', '.join(SUFFIXES)}); {remedy}")
    return sorted(images), sorted(others)


def left_out_remarks(left_out: Sequence[str]) -> list[str]:
    """A line about what `image_files` left out, if that is anything."""
    if not left_out:
        return []
    folders = sum(path.endswith("/") for path in left_out)
    more = ", ..." if len(left_out) > _SHOWN else ""
    return [
        f"{_many(len(left_out) - folders, 'file')} and {_many(folders, 'folder')} in class folders are left out, being "
        f"no files that end in {', '.join(SUFFIXES)}: {', '.join(left_out[:_SHOWN])}{more}"
    ]


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def prompt_name(folder: str) -> str:
    """What a prompt calls the class in a folder."""
    return folder.replace("_", " ")


def image_splits(
    root: Path, listed: Mapping[Split, Sequence[tuple[str, int]]], remedies: Mapping[tuple[Role, Part], str]
) -> dict[Split, ImageFiles]:
    """The images of each split.

    Args:
        root: what paths are relative to.
        listed: each split's images, as path and label.
        remedies: what to change in the sweep file where such a split has no images.

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


def _entries(folder: Path, what: str) -> Iterator[os.DirEntry[str]]:
    """What is in a folder, hidden things left out and links checked."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if (shown := readable(entry.name)) != entry.name:
                    raise UserError(f"{what}: the name of '{folder}/{shown}' is not UTF-8; rename it")
                if entry.is_symlink():
                    _check_link(entry, what)
                yield entry
    except FileNotFoundError:
        raise UserError(f"{what}: there is no such folder; looked in '{folder}'") from None
    except NotADirectoryError:
        raise UserError(f"{what}: '{folder}' is a file; give a folder") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"{what}: can't read '{error.filename or folder}': {reason}; mend or remove it") from None


def _check_link(link: os.DirEntry[str], what: str) -> None:
    try:
        link.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{what}: the link '{link.path}' leads nowhere; mend or remove it") from None
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        circle = True
    else:
        here = Path(link.path).parent.resolve()
        circle = link.is_dir() and Path(link.path).resolve() in (here, *here.parents)
    if circle:
        raise UserError(f"{what}: the link '{link.path}' leads in a circle; mend or remove it")
