"""ObjectNet (Barbu et al. 2019, objectnet.dev): the ImageNet classes of its folders, and images without the red border.

313 classes, of which 113 are one or more of ImageNet's. The archive's `mappings` say which.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from PIL import Image
from pydantic import TypeAdapter, ValidationError

from fpray.data.encoded import ImageFiles
from fpray.errors import UserError, message_of

BORDER = 2
"""Width in pixels of the red border that marks each image as a test image, and must be cut off before use."""

_NUM_CLASSES = 1000
_Content = TypeVar("_Content")


class BorderlessImages(ImageFiles):
    """ObjectNet's images, with their borders cut off."""

    def stamp(self) -> str:
        return f"without {BORDER} pixels of border {super().stamp()}"

    def decoded(self, index: int) -> Image.Image:
        image = super().decoded(index)
        if min(image.size) <= 2 * BORDER:
            raise ValueError("nothing is inside its border")
        return image.crop((BORDER, BORDER, image.width - BORDER, image.height - BORDER))


def imagenet_classes(mappings: Path) -> dict[str, tuple[int, ...]]:
    """The ImageNet classes, in [0, 1000), that each folder's images may be classified as; most folders have none.

    Four files say so: folder to label, label to the names of ImageNet classes (separated by `; `), those names in the
    order of ILSVRC2012 ids, and the usual class index to the id (here from 0).

    Raises:
        UserError: if a file is missing, damaged, or doesn't fit the others.
    """
    labels = _read(mappings / "folder_to_objectnet_label.json", dict[str, str])
    names = _read(mappings / "objectnet_to_imagenet_1k.json", dict[str, str])
    ids = _read(mappings / "pytorch_to_imagenet_2012_id.json", dict[int, int])
    by_id = _lines(mappings / "imagenet_to_label_2012_v2")
    if sorted(ids) != list(range(_NUM_CLASSES)) or sorted(ids.values()) != list(range(_NUM_CLASSES)):
        raise _damaged(
            mappings / "pytorch_to_imagenet_2012_id.json", f"it doesn't pair 0 to {_NUM_CLASSES - 1} with ids"
        )
    if len(by_id) != _NUM_CLASSES:
        raise _damaged(mappings / "imagenet_to_label_2012_v2", f"it has {len(by_id)} lines, not {_NUM_CLASSES}")
    class_of = {by_id[number]: index for index, number in ids.items()}
    for label, wanted in names.items():
        if label not in labels.values():
            raise _damaged(mappings / "objectnet_to_imagenet_1k.json", f"no folder has the label '{label}'")
        for name in wanted.split("; "):
            if name not in class_of:
                raise _damaged(mappings / "objectnet_to_imagenet_1k.json", f"ImageNet has no class '{name}'")
    return {
        folder: tuple(class_of[name] for name in names[label].split("; ")) if label in names else ()
        for folder, label in sorted(labels.items())
    }


def _read(file: Path, content: type[_Content]) -> _Content:
    try:
        return TypeAdapter(content).validate_json(_bytes(file))
    except ValidationError as error:
        raise _damaged(file, error.errors()[0]["msg"].lower()) from None


def _lines(file: Path) -> list[str]:
    try:
        return [line.strip() for line in _bytes(file).decode().splitlines()]
    except UnicodeDecodeError:
        raise _damaged(file, "it is not text in UTF-8") from None


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        why = message_of(error)
        raise UserError(
            f"data.folders.objectnet: can't read '{file}', which is in ObjectNet's archive: {why}"
        ) from None


def _damaged(file: Path, why: str) -> UserError:
    return UserError(f"data.folders.objectnet: '{file}' is damaged: {why}; unpack it from ObjectNet's archive again")
