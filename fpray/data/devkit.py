"""ILSVRC2012's devkit: the class of each validation image."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from fpray.errors import UserError


def validation_wnids(devkit: Path, known: Sequence[str]) -> list[str]:
    """The wnid of each ILSVRC2012 validation image, in the order of their numbers.

    The ground truth's numbers are ILSVRC2012 ids, whose order is not that of the wnids; `meta.mat` translates.

    Args:
        devkit: the folder of the devkit.
        known: the wnids of the 1000 classes.

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
        wnid_of = {number: wnid for number, wnid in pairs if wnid in known}  # not the hypernyms, which follow
    # loadmat raises many kinds, depending on where the file is damaged.
    except (OSError, ValueError, TypeError, KeyError, IndexError, MatReadError, zlib.error):
        raise _damaged(meta) from None
    if len(wnid_of) != len(known):
        raise _damaged(meta)
    try:
        return [wnid_of[int(line)] for line in truth.read_text("utf-8").split()]
    except (OSError, ValueError, KeyError):
        raise _damaged(truth) from None


def _damaged(file: Path) -> UserError:
    return UserError(f"data.folders.devkit: '{file}' is damaged; unpack it from ILSVRC2012_devkit_t12.tar.gz again")
