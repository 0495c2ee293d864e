"""Matrices that a frozen model gives, such as its features of a split: computed once for all processes of a node."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
import torch
from torch import Tensor

from fpray import __version__
from fpray.kept import kept_rows


def known_or_computed(
    what: str,
    source: str,
    shape: tuple[int, int],
    limit: int,
    compute: Callable[[], Tensor],
    uncertain: Callable[[], Collection[int]] = tuple,
) -> Tensor:
    """A matrix, as another process on this node has computed it or computed now, and then kept.

    Args:
        what: what it is, in words.
        source: a text that changes with all that decides its values, but for the versions of fpray and torch.
        shape: rows and columns.
        limit: the most bytes that all that is kept may take on this node.
        compute: gives the matrix, float32 on the CPU.
        uncertain: gives the rows, once all are computed, that are not to be kept: it is computed again then.
    """
    rows, columns = shape
    decided = f"{__version__} {torch.__version__}\n{source}"
    file = kept_rows(what, decided, rows, (columns,), np.float32, limit)
    if file is None:
        return compute()
    known = [row for row in map(file.get, range(rows)) if row is not None]
    if len(known) == rows:
        return torch.from_numpy(np.stack(known))
    computed, left_out = compute(), set(uncertain())
    for number, row in enumerate(computed.numpy()):
        if number not in left_out:
            file.put(number, row)
    return computed


def computed_by(device: torch.device) -> str:
    """A text that changes with what decides the last bits of what a device computes."""
    return f"{device_name(device)}, {torch.get_num_threads()} threads" if device.type == "cpu" else device_name(device)


def device_name(device: torch.device) -> str:
    """The GPU's name, or `cpu`."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
