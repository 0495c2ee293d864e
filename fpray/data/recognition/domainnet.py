"""Recognises the layout `domainnet`: DomainNet's lists."""

from __future__ import annotations

from pathlib import Path

from fpray.data.layouts.domainnet import DOMAINS, DomainNetOptions, OfficialLabels, read_list
from fpray.data.recognition.base import Recognised

USUAL: str = DomainNetOptions.model_fields["id"].default
"""The domain that is mostly trained on."""


def recognise(folder: Path) -> Recognised | None:
    """The domains that have both lists, `real` as ID; None for fewer than two.

    Raises:
        UserError: if the ID domain's list is wrong.
    """
    parts = ("train", "test")
    found = [name for name in DOMAINS if all((folder / f"{name}_{part}.txt").is_file() for part in parts)]
    if len(found) < 2:
        return None
    home = USUAL if USUAL in found else found[0]
    listed = read_list(folder / f"{home}_train.txt", home, OfficialLabels())
    classes = len({line.folder for line in listed})
    return Recognised(
        f"DomainNet's lists of {len(found)} domains, with {classes:,} classes: {', '.join(found)}",
        {"layout": "domainnet", "root": str(folder), "id": home, "ood": [name for name in found if name != home]},
        {"id": f"assumed; it is trained on, with the {len(listed):,} images of its training list but for `id_val`"},
    )
