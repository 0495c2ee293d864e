"""Recognises the layout `domains`: folders of domains with folders of classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from fpray.console import first_of
from fpray.data.folders import count_images, subfolders
from fpray.data.recognition.base import KEY, Recognised

Counts = Mapping[str, int]
"""The number of images in each class folder of a domain."""


def recognise(folder: Path) -> Recognised | None:
    """The domain with the most images as ID, and each that has classes of it as OOD; None for fewer than two domains.

    Raises:
        UserError: if a folder can't be read.
    """
    counts = {name: _counts(folder / name) for name in subfolders(folder, KEY)}
    domains = {name: of for name, of in counts.items() if sum(of.values())}
    if not domains:
        return None
    home = max(domains, key=lambda name: sum(domains[name].values()))
    used = {name: of for name, of in domains.items() if of.keys() & domains[home].keys()}
    classes = [name for name in domains[home] if all(of.get(name, 1) for of in used.values())]
    if len(used) < 2 or len(classes) < 2:
        return None
    return _section(folder, home, used, classes)


def _section(folder: Path, home: str, domains: Mapping[str, Counts], classes: Sequence[str]) -> Recognised:
    sizes = {name: sum(of.values()) for name, of in domains.items()}
    images = first_of([f"{name} with {size:,} images" for name, size in sizes.items()], 8)
    left_out = sorted({name for of in domains.values() for name in of} - {*classes})
    options = {"layout": "domains", "root": str(folder), "id": home, "ood": [name for name in domains if name != home]}
    remarks = {"id": f"assumed, as the domain with the most images ({sizes[home]:,}); it is trained on"}
    if left_out:
        options["classes"] = classes
        remarks["classes"] = f"the folders of {home}; left out are {first_of(left_out, 8)}"
    return Recognised(f"{len(domains)} domains of {len(classes):,} classes: {images}", options, remarks)


def _counts(domain: Path) -> Counts:
    return {name: count_images(domain / name, KEY) for name in subfolders(domain, KEY)}
