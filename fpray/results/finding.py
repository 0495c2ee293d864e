"""Finding a sweep: by its folder, its address, its sweep file, or its name in the storages used before."""

from __future__ import annotations

import contextlib
from pathlib import Path

from upath import UPath

from fpray.config import read_content
from fpray.errors import UserError, did_you_mean
from fpray.records import Record, SweepFolder, known_storages
from fpray.redaction import hidden
from fpray.storage import DEFAULT_STORAGE, from_home, is_local


def find(name: str) -> SweepFolder:
    """The folder of a sweep.

    Args:
        name: its folder's path or address, its sweep file, or its name, which is looked for in `./fpray-results` and
            in the storages of sweeps that were run from here before.

    Raises:
        UserError: if there is none, or several have that name; with the places.
    """
    if "://" in name:
        return _there(UPath(name))
    path = Path(from_home(name))
    if path.is_file():
        content = read_content(path)
        storage = UPath(from_home(str(content.get("storage") or DEFAULT_STORAGE)))
        return _there(storage / str(content["name"]))
    if path.is_dir() and _is_sweep(UPath(path)):
        return SweepFolder(UPath(path.absolute()))
    return _by_name(name)


def all_sweeps() -> list[SweepFolder]:
    """Every sweep in `./fpray-results` and in the storages used before; one that can't be reached is left out."""
    found: dict[str, SweepFolder] = {}
    for storage in _storages():
        with contextlib.suppress(Exception):  # each kind of store raises its own
            for folder in sorted(storage.iterdir(), key=str):
                if _is_sweep(folder):
                    found[str(folder)] = SweepFolder(folder)
    return list(found.values())


def newest() -> SweepFolder:
    """The sweep whose command began last, of all that are known.

    Raises:
        UserError: if none is.
    """
    found = all_sweeps()
    if not found:
        raise UserError(f"no sweeps in {_listed(_storages())}; name one by its folder")
    return max(found, key=lambda folder: float(folder.sweep_file.stat().st_mtime))


def find_trial(folder: SweepFolder, trial_id: str) -> Record:
    """The record of a trial.

    Raises:
        UserError: if there is none.
    """
    try:
        return folder.records.read(trial_id)
    except (FileNotFoundError, ValueError):  # no such record, a damaged one, or no trial's id
        known = [record.trial.id for record in folder.records.read_all()]
        hint = f"; {did_you_mean(trial_id, known)}" if known else ""
        raise UserError(f"'{hidden(str(folder.path))}' has no readable record of a trial '{trial_id}'{hint}") from None


def _by_name(name: str) -> SweepFolder:
    places = [storage / name for storage in _storages()]
    found = [place for place in places if _is_sweep(place)]
    if len(found) > 1:
        raise UserError(f"several sweeps are called '{name}': {_listed(found)}; give one of these folders")
    if not found:
        names = [folder.path.name for folder in all_sweeps()]
        hint = f"; {did_you_mean(name, names)}" if names else ""
        raise UserError(f"no sweep '{name}' in {_listed(_storages())}{hint}")
    return SweepFolder(found[0])


def _there(folder: UPath) -> SweepFolder:
    folder = folder.absolute() if is_local(folder) else folder
    if not _is_sweep(folder):
        raise UserError(f"'{hidden(str(folder))}' has no sweep; look at `fpray list`")
    return SweepFolder(folder)


def _storages() -> list[UPath]:
    storages = {str(UPath(DEFAULT_STORAGE).absolute()): None} | dict.fromkeys(known_storages())
    return [UPath(address) for address in storages]


def _is_sweep(folder: UPath) -> bool:
    with contextlib.suppress(Exception):  # each kind of store raises its own
        return bool((folder / "sweep.yaml").exists())
    return False


def _listed(folders: list[UPath]) -> str:
    return ", ".join(f"'{hidden(str(folder))}'" for folder in folders)
