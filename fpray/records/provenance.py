"""Provenance: the code, packages and device that a trial ran with."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from fpray import __version__
from fpray.records.record import Provenance

PACKAGES = ("ray", "torch", "open_clip_torch", "peft", "optuna")


def provenance_of(device: str, plugins: Mapping[str, str]) -> Provenance:
    """The provenance of a trial in this process.

    Args:
        device: the GPU's name, or `cpu`.
        plugins: the sha256 of each plug-in's code, by the file's name.
    """
    return Provenance(versions=versions(), commit=commit(), device=device, plugins=dict(plugins))


@functools.cache
def versions() -> dict[str, str]:
    """The versions of fpray and of the packages that decide what a trial gives."""
    return {"fpray": __version__} | {package: version(package) for package in PACKAGES}


@functools.cache
def commit() -> str | None:
    """The git commit of fpray's checkout, marked when it has changes; None for an installed package."""
    here = Path(__file__).parents[2]
    if not (here / ".git").exists():
        return None
    try:
        name = _git(here, "describe", "--always")
        # `describe --dirty` would write the checkout's index, which another git command may be writing.
        changed = _git(here, "--no-optional-locks", "status", "--porcelain", "--untracked-files=no")
    except OSError:
        return None  # no git on this machine
    return (f"{name}-dirty" if changed else name) if name else None


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True).stdout.strip()
