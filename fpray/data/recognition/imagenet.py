"""Recognises the layout `imagenet`: ImageNet beside the sets that CLIP's robustness is measured on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fpray.data.folders import subfolders
from fpray.data.layouts.imagenet import SHIFTS, WNIDS, Folders
from fpray.data.recognition.base import KEY, Recognised

HOMES = ("imagenet", "ILSVRC2012", "ILSVRC/Data/CLS-LOC", ".")
"""The folders in which `train` and `val` may lie."""
BY_WNID = ("r", "a", "sketch")


def recognise(folder: Path) -> Recognised | None:
    """ImageNet and the OOD sets that are there; None without its training and validation images, or without OOD sets.

    Raises:
        UserError: if a folder can't be read.
    """
    home = next((home for home in HOMES if all((folder / home / part).is_dir() for part in ("train", "val"))), None)
    if home is None:
        return None
    known = {*WNIDS}
    wnids = [name for name in subfolders(folder / home / "train", KEY) if name in known]
    shifts = [name for name in SHIFTS if _has(folder, name, wnids)]
    if len(wnids) < 2 or not shifts:
        return None
    seen = f"ImageNet's training images of {len(wnids):,} classes, and of its OOD sets {', '.join(shifts)}"
    return Recognised(seen, _options(folder, home, shifts, wnids), _remarks(shifts, wnids))


def _has(folder: Path, shift: str, wnids: Sequence[str]) -> bool:
    """Whether an OOD set is in its usual place, with some of the classes."""
    place = folder / str(getattr(Folders(), shift))
    return place.is_dir() and (shift not in BY_WNID or bool({*subfolders(place, KEY)} & {*wnids}))


def _options(folder: Path, home: str, shifts: Sequence[str], wnids: Sequence[str]) -> dict[str, Any]:
    options: dict[str, Any] = {"layout": "imagenet", "root": str(folder)}
    if home != HOMES[0]:
        places = {"train": "train", "val": "val", "devkit": "ILSVRC2012_devkit_t12"}
        options["folders"] = {name: str(Path(home, place)) for name, place in places.items()}
    options["ood"] = [*shifts]
    return options if len(wnids) == len(WNIDS) else options | {"wnids": [*wnids]}


def _remarks(shifts: Sequence[str], wnids: Sequence[str]) -> dict[str, str]:
    missing = [name for name in SHIFTS if name not in shifts]
    remarks = {"ood": f"not found: {', '.join(missing)}"} if missing else {}
    return remarks | {"wnids": f"the {len(wnids)} classes of the training folder, of ImageNet's {len(WNIDS):,}"}
