"""Recognises the layout `webdataset`: tar shards whose paths say domain and part, as `sketch/test-0003.tar`."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fpray.data.recognition.base import Recognised
from fpray.data.shards import indexes

SHARD = re.compile(r"(?:(?P<domain>.+?)[-_/])?(?P<part>train|validation|valid|val|test)(?:[-_/]?\d+)?\.tar")
PATTERNS = ("*.tar", "*/*.tar", "*/*/*.tar")
NAMES = ("classnames.txt", "classes.txt")
"""Files that may have the name of each class, a line each."""
IMAGENET_CLASSES = 1000

Parts = Mapping[str, list[Path]]
"""The shards of a domain by part."""


def recognise(folder: Path) -> Recognised | None:
    """The domain with training and test shards as ID, others with test shards as OOD; None if there are not both.

    Raises:
        UserError: if a shard can't be indexed.
    """
    domains = _domains(folder)
    trained = [name for name, parts in domains.items() if {"train", "test"} <= parts.keys()]
    if not trained:
        return None
    home = max(trained, key=lambda name: len(domains[name]["train"]))
    ood = {name: parts for name, parts in domains.items() if name not in (home, "") and "test" in parts}
    if not ood:
        return None
    used = [domains[home], *ood.values()]
    classes, remark = _classes(folder, [str(file) for parts in used for files in parts.values() for file in files])
    options = {"layout": "webdataset", "id": _section(domains[home], ("train", "val", "test"))}
    options["ood"] = {re.sub(r"[^A-Za-z0-9._-]", "-", name): _section(ood[name], ("val", "test")) for name in ood}
    seen = f"tar shards of {len(used)} domains: {', '.join([home or 'one without a name', *ood])}"
    remarks = {"id": "assumed, as the domain with training shards", "classes": remark}
    return Recognised(seen, options | {"classes": classes}, remarks)


def _domains(folder: Path) -> dict[str, Parts]:
    """The shards of each domain and part; the domain '' is that of shards whose paths name none."""
    found: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for file in sorted(file for pattern in PATTERNS for file in folder.glob(pattern)):
        if matched := SHARD.fullmatch(file.relative_to(folder).as_posix()):
            part = "val" if matched["part"].startswith("val") else matched["part"]
            found[matched["domain"] or ""][part].append(file)
    return dict(found)


def _section(shards: Parts, parts: Sequence[str]) -> dict[str, list[str]]:
    return {part: patterns(shards[part]) for part in parts if part in shards}


def patterns(files: Sequence[Path]) -> list[str]:
    """The paths of shards: one pattern with braces if they differ in consecutive numbers alone, else each."""
    paths = sorted(map(str, files), key=lambda path: (len(path), path))
    start, digits = re.fullmatch(r"(.*?)(\d*)\.tar", paths[0], re.DOTALL).groups()  # type: ignore[union-attr]
    if len(paths) == 1 or not digits:
        return paths
    numbers = [f"{int(digits) + number:0{len(digits)}}" for number in range(len(paths))]
    if paths != [f"{start}{number}.tar" for number in numbers]:
        return paths
    return [f"{start}{{{numbers[0]}..{numbers[-1]}}}.tar"]


def _classes(folder: Path, addresses: Sequence[str]) -> tuple[Any, str]:
    """The name of each label's class, and where it is from."""
    for file in (folder / name for name in NAMES):
        if file.is_file():
            return file.read_text("utf-8").splitlines(), f"the lines of {file.name}"
    number = max(int(np.max(index.labels)) for index in indexes(addresses, "data") if len(index)) + 1
    if number == IMAGENET_CLASSES:
        return "imagenet", f"assumed, since labels go from 0 to {number - 1}"
    return [f"class {label}" for label in range(number)], f"EDIT: labels go from 0 to {number - 1}; prompts need names"
