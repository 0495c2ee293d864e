"""Small datasets on disk, in exactly the layouts that fpray reads; what every layout must hold is tested on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from PIL import Image

from tests.data.imagenet_tree import make_family
from tests.data.shard_tree import make_shards

STYLES = ("clipart", "infograph", "painting", "quickdraw", "real", "sketch")
"""DomainNet's domains."""


def picture(path: str) -> Image.Image:
    """An image of 8 x 8 pixels that depends on its path."""
    return Image.fromarray(np.random.default_rng(crc32(path.encode())).integers(0, 256, (8, 8, 3), np.uint8))


def make_images(root: Path, counts: Mapping[str, int], suffix: str = ".png") -> list[str]:
    """Fill folders with so many images each; returns their paths relative to the root."""
    paths = [f"{folder}/{number:03d}{suffix}" for folder, count in counts.items() for number in range(count)]
    for folder in counts:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for path in paths:
        picture(path).save(root / path)
    return paths


def drawnet(root: Path) -> dict[str, Any]:
    """The embedded example; it needs no tree."""
    return {"layout": "drawnet", "train_images": 28}


def domains(root: Path) -> dict[str, Any]:
    """Three domains with uneven classes, of which `sketch` lacks one."""
    counts = {"photo/dog": 40, "photo/alarm_clock": 25, "photo/giraffe": 30, "sketch/dog": 20, "sketch/giraffe": 12}
    counts |= {"art painting/dog": 15, "art painting/alarm_clock": 9, "art painting/giraffe": 18}
    make_images(root, counts)
    return {"layout": "domains", "root": str(root), "id": "photo"}


def domainnet(root: Path) -> dict[str, Any]:
    """All six domains with three classes and DomainNet's lists; the ID domain has more images."""
    classes = ("aircraft_carrier", "airplane", "alarm_clock")
    for style in STYLES:
        for part, count in (("train", 30 if style == "real" else 12), ("test", 5)):
            lines = []
            for label, name in enumerate(classes):
                for number in range(count):
                    path = f"{style}/{name}/{style}_{label:03d}_{number if part == 'train' else 100 + number:06d}.jpg"
                    (root / path).parent.mkdir(parents=True, exist_ok=True)
                    picture(path).save(root / path)
                    lines.append(f"{path} {label}\n")
            (root / f"{style}_{part}.txt").write_text("".join(lines))
    return {"layout": "domainnet", "root": str(root), "id_val": 0.1, "ood_val": 0.2}


TREES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "drawnet": drawnet,
    "domains": domains,
    "domainnet": domainnet,
    "imagenet": make_family,
    "webdataset": make_shards,
}
"""By layout: makes a small dataset in a folder and returns the sweep file's `data` section for it."""
