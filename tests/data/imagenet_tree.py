"""Makes small trees of ImageNet and its distribution shifts, in exactly the published layouts."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.io import savemat

INFO = files("timm.data") / "_info"
WNIDS = (INFO / "imagenet_synsets.txt").read_text().split()
KEPT = [2, 6, 11, 100, 409, 423, 530, 954]
"""The classes of the made subset: some of -R, some of -A, some of ObjectNet; as numbers and as text they sort apart."""
OBJECTS = {"Alarm clock": [409, 530], "Backpack": [414], "Banana": [954], "Chair": [423, 559, 765]}
SHIFTS = ("v2", "r", "a", "sketch", "objectnet")
V2, R, A = "imagenetv2-matched-frequency-format-val", "imagenet-r", "imagenet-a"
DEVKIT = "imagenet/ILSVRC2012_devkit_t12"
RED = (255, 0, 0)


def indices(of: str) -> list[int]:
    return [int(line) for line in (INFO / f"imagenet_{of}_indices.txt").read_text().split()]


def encoded(seed: int, suffix: str) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 10, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, {"png": "PNG"}.get(suffix, "JPEG"))
    return stream.getvalue()


def fill(folder: Path, count: int, name: str) -> None:
    """Put images into a folder: of name `n_{}.JPEG`, n_0.JPEG, n_1.JPEG, ..."""
    folder.mkdir(parents=True)
    for number in range(count):
        seed = int.from_bytes(hashlib.sha256(f"{folder.name} {number}".encode()).digest()[:4], "big")
        (folder / name.format(number)).write_bytes(encoded(seed, name.rpartition(".")[2]))


def make_mappings(folder: Path) -> None:
    """ObjectNet's four files, with an order of ids of their own and a class more that is none of ImageNet's."""
    folder.mkdir(parents=True)
    ids = np.random.default_rng(3).permutation(1000).tolist()
    names = {index: f"thing {index}, other name of {index}" for index in range(1000)}
    labels = {label.lower().replace(" ", "_"): label for label in [*reversed(OBJECTS), "Air freshener"]}
    by_label = {label: "; ".join(names[index] for index in of) for label, of in OBJECTS.items()}
    (folder / "folder_to_objectnet_label.json").write_text(json.dumps(labels, indent=2))
    (folder / "objectnet_to_imagenet_1k.json").write_text(json.dumps(by_label, indent=2))
    (folder / "pytorch_to_imagenet_2012_id.json").write_text(json.dumps(dict(enumerate(ids)), indent=2))
    lines = [names[index] for index in sorted(range(1000), key=ids.__getitem__)]
    (folder / "imagenet_to_label_2012_v2").write_text("\n".join(lines) + "\n")


def make_objectnet(root: Path, count: int) -> None:
    make_mappings(root / "mappings")
    for folder in ("air_freshener", "alarm_clock", "backpack", "banana", "chair"):
        fill(root / "images" / folder, count, folder + "{}.png")
        for file in (root / "images" / folder).iterdir():
            image = Image.new("RGB", (14, 16), RED)
            image.paste(Image.open(file), (2, 2))
            image.save(file)


def make_devkit(folder: Path, classes: Sequence[int]) -> None:
    """The devkit with the ground truth of one validation image for each of `classes`."""
    ids = np.random.default_rng(5).permutation(1000) + 1
    (folder / "data").mkdir(parents=True)
    fields = ["ILSVRC2012_ID", "WNID", "words", "gloss", "num_children", "children", "wordnet_height"]
    rows = [
        (int(ids[index]), wnid, f"thing, {wnid}", "a thing", 0, np.array([]), 0) for index, wnid in enumerate(WNIDS)
    ]
    rows.sort(key=lambda row: row[0])
    rows += [(1001 + i, f"n{i:08}", "things", "any thing", 2, np.array([1, 2 + i]), 1) for i in range(3)]
    synsets = np.array(rows, dtype=[(field, object) for field in fields]).reshape(-1, 1)
    savemat(folder / "data" / "meta.mat", {"synsets": synsets}, do_compression=True)
    truth = "".join(f"{ids[index]}\n" for index in classes)
    (folder / "data" / "ILSVRC2012_validation_ground_truth.txt").write_text(truth)


def make_flat(root: Path, classes: Sequence[int]) -> None:
    fill(root / "imagenet" / "val", len(classes), "{}.JPEG")
    for number in range(len(classes)):
        file = root / "imagenet" / "val" / f"{number}.JPEG"
        file.rename(file.with_name(f"ILSVRC2012_val_{number + 1:08}.JPEG"))
    make_devkit(root / DEVKIT, classes)


def make_family(root: Path, count: int = 6) -> dict[str, Any]:
    """Every set, on the classes of `KEPT` and one class more, and the `data` section that reads it."""
    for index in (*KEPT, 7):
        wnid = WNIDS[index]
        fill(root / "imagenet" / "train" / wnid, count, wnid + "_{}.JPEG")
        fill(root / "imagenet" / "val" / wnid, 2, f"ILSVRC2012_val_0000{index:03}" + "{}.JPEG")
        fill(root / V2 / str(index), count, "{}.jpeg")
        fill(root / "sketch" / wnid, count, "sketch_{}.JPEG")
        if index in indices("r"):
            fill(root / R / wnid, count, "art_{}.jpg")
        if index in indices("a"):
            fill(root / A / wnid, count, "0.1_{}.jpg")
    make_objectnet(root / "objectnet-1.0", count)
    (root / R / "README.txt").write_text("ImageNet-R")
    return {"layout": "imagenet", "root": str(root), "wnids": [WNIDS[i] for i in KEPT], "id_val": 0.3, "ood_val": 0.4}
