"""The room that a sweep's weights take in its storage."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from fpray.config import Sweep
from fpray.records import SweepFolder, kept_bytes
from fpray.redaction import hidden
from fpray.search import studies
from fpray.storage import is_local

BYTES = 4
"""Of a weight: they are kept in fp32."""


def weights_line(sweep: Sweep, weights: Mapping[str, int]) -> str:
    """What the weights of all its trials take.

    Args:
        weights: the number of each model's image tower, by the model's name.
    """
    later = "; in the end those stay that fronts and picks need" if sweep.keep == "front" else ""
    return f"about {_gigabytes(_all(sweep, weights))} of weights in '{hidden(sweep.storage)}'{later}"


def lack_of_room(sweep: Sweep, folder: SweepFolder, weights: Mapping[str, int]) -> str | None:
    """A line where the disk of the storage has not the room for the weights that are still to come; else None."""
    if not is_local(folder.path):
        return None
    left = _all(sweep, weights) - sum(kept_bytes(folder.records).values())
    free = shutil.disk_usage(Path(folder.path.path)).free
    if left < free:
        return None
    return (
        f"the trials' weights will take about {_gigabytes(left)} more, and '{folder.path}' has {_gigabytes(free)} "
        "free: make room, name another storage, or ask for fewer trials"
    )


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:,.0f} GB" if size >= 1e10 else f"{size / 1e9:.2g} GB"


def _all(sweep: Sweep, weights: Mapping[str, int]) -> int:
    """The bytes of all trials' weights; where a trial's model is searched for, the largest one's."""
    return sum(BYTES * study.trials * max(weights[model.short] for model in study.models) for study in studies(sweep))
