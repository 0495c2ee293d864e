"""Makes small tar shards: as WebDataset's own writer makes them, or member by member."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import webdataset
from PIL import Image

from fpray.config.file import check_sweep
from fpray.data.base import Split
from fpray.data.layouts.webdataset import ShardImages, WebDataset
from fpray.data.shards import ShardIndex, indexes

CLASSES = ("cat", "dog", "snow leopard")


def encoded(number: int, suffix: str = "png") -> bytes:
    """An image of 8 x 8 pixels that depends on its number."""
    pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, {"jpg": "JPEG"}.get(suffix, suffix))
    return stream.getvalue()


def sample(number: int, suffix: str = "png") -> dict[str, Any]:
    """A sample as WebDataset's writer takes it; its label is its number modulo the classes."""
    return {"__key__": f"{number:06d}", suffix: encoded(number, suffix), "cls": number % len(CLASSES)}


def write_shards(folder: Path, name: str, numbers: Sequence[int], each: int) -> list[str]:
    """Write `<name>-0000.tar`, ... with so many samples each; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    with webdataset.ShardWriter(str(folder / f"{name}-%04d.tar"), maxcount=each, verbose=0) as writer:
        for number in numbers:
            writer.write(sample(number))
    return sorted(str(path) for path in folder.glob(f"{name}-*.tar"))


def tar(members: Iterable[tuple[str, bytes]], **options: Any) -> bytes:
    """A tar file of such members."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", **options) as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def make_shards(root: Path) -> dict[str, Any]:
    """An ID domain without validation shards, and two OOD domains, one with them."""
    write_shards(root, "train", range(60), 25)
    write_shards(root, "test", range(100, 112), 12)
    write_shards(root / "sketch", "test", range(200, 230), 10)
    write_shards(root / "clipart", "val", range(300, 306), 6)
    write_shards(root / "clipart", "test", range(400, 409), 9)
    return {
        "layout": "webdataset",
        "id": {"train": [f"{root}/train-{{0000..0002}}.tar"], "val": None, "test": [f"{root}/test-0000.tar"]},
        "ood": {
            "sketch": {"val": None, "test": [f"{root}/sketch/test-{{0000..0002}}.tar"]},
            "clipart": {"val": [f"{root}/clipart/val-0000.tar"], "test": [f"{root}/clipart/test-0000.tar"]},
        },
        "classes": list(CLASSES),
        "id_val": 0.2,
        "ood_val": 0.3,
    }


def opened(section: dict[str, Any]) -> WebDataset:
    """The dataset of a sweep file's `data` section."""
    return WebDataset(check_sweep({"name": "s", "data": section}, "s").data)  # type: ignore[arg-type]


def train_images(*addresses: str) -> ShardImages:
    """All images in such shards, as a dataset's training split; the other splits' shards are never looked for."""
    shards = {"train": list(addresses), "val": "no-val.tar", "test": "no-test.tar"}
    section = {"layout": "webdataset", "id": shards, "ood": {"other": {"test": "no-ood.tar"}}, "classes": CLASSES}
    return opened(section).images(Split("id", "id", "train"))


def index_of(shard: Path | str) -> ShardIndex:
    """The index of one training shard."""
    return indexes([str(shard)], "data.id.train")[0]
