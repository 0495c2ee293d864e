"""The layout of the images in a folder, told from what lies there: one module each for what every layout looks for.

`recognise` gives a `Recognised`: the `data` section of a sweep file, with what was seen and what was assumed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fpray.console import first_of
from fpray.data.recognition import domainnet, domains, imagenet, webdataset
from fpray.data.recognition.base import KEY, Recognised
from fpray.errors import UserError, message_of

LAYOUTS: tuple[Callable[[Path], Recognised | None], ...] = (
    domainnet.recognise,
    imagenet.recognise,
    webdataset.recognise,
    domains.recognise,
)
"""The more special ones first: DomainNet's folders are domains too."""
LOOKED_FOR = (
    "DomainNet's lists of two domains (real_train.txt, real_test.txt, ...), ImageNet beside an OOD set "
    "(imagenet/train/n01440764, imagenet/val, imagenet-r), tar shards (train-0000.tar, test-0000.tar, "
    "sketch/test-0000.tar), or two domains with the same class folders of images (photo/dog/1.png, sketch/dog/1.png)"
)


def recognise(folder: Path) -> Recognised:
    """The `data` section for the images in a folder.

    Args:
        folder: an absolute path, which becomes the section's.

    Raises:
        UserError: if the folder can't be read, or if no layout is recognised; it says what was looked for and found.
    """
    contents = _contents(folder)
    for recognised in LAYOUTS:
        if (found := recognised(folder)) is not None:
            return found
    raise UserError(f"{KEY}: no layout that fpray knows is in '{folder}'; looked for {LOOKED_FOR}; found {contents}")


def _contents(folder: Path) -> str:
    """The folders and files in a folder, in words."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise UserError(f"{KEY}: can't look into '{folder}': {message_of(error)}; give a folder of images") from None
    folders = [entry.name for entry in entries if entry.is_dir()]
    files = [entry.name for entry in entries if not entry.is_dir()]
    kinds = [f"the {kind} {first_of(names, 5)}" for kind, names in (("folders", folders), ("files", files)) if names]
    return " and ".join(kinds) or "nothing"


__all__ = ["Recognised", "recognise"]
