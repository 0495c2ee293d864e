"""A sweep's identity: an id that is kept in its folder, so that it goes on as itself wherever the folder lies."""

from __future__ import annotations

import contextlib
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, ValidationError
from upath import UPath

from fpray.errors import UserError
from fpray.records.folder import SweepFolder
from fpray.storage import read_if_there, write_whole


class Identity(BaseModel):
    """The id by which a sweep's runs are found, and the address at which its folder was last written."""

    model_config = ConfigDict(frozen=True)

    id: str
    home: str


def identify(folder: SweepFolder) -> tuple[Identity, str | None]:
    """The identity of a sweep whose folder this command holds, which has its home here from now on.

    A folder that an earlier version began has its address as id, as its runs say.

    Returns:
        The identity, and the address of the folder that this one was copied from, where that still stands.

    Raises:
        UserError: if the file that keeps it is damaged.
    """
    here = str(folder.path)
    known = _read(folder.path)
    if known is None:
        began_earlier = read_if_there(folder.sweep_file) is not None
        return _keep(folder.path, Identity(id=here if began_earlier else uuid4().hex, home=here)), None
    if known.home == here:
        return known, None
    identity = _keep(folder.path, Identity(id=known.id, home=here))
    # What was written here shows there where both are one folder, mounted at two places.
    with contextlib.suppress(Exception):  # a store that can't be reached from here, or is none
        there = _read(UPath(known.home))
        if there is not None and there.id == known.id and there.home != here:
            return identity, known.home
    return identity, None


def renew(folder: SweepFolder) -> Identity:
    """Give a copy of a sweep an id of its own."""
    return _keep(folder.path, Identity(id=uuid4().hex, home=str(folder.path)))


def _keep(folder: UPath, identity: Identity) -> Identity:
    write_whole(_file(folder), identity.model_dump_json().encode())
    return identity


def _read(folder: UPath) -> Identity | None:
    content = read_if_there(_file(folder))
    try:
        return None if content is None else Identity.model_validate_json(content)
    except ValidationError:
        raise UserError(
            f"'{_file(folder)}' is damaged; put it back, or remove it to start new runs in MLflow"
        ) from None


def _file(folder: UPath) -> UPath:
    return folder / "identity.json"
