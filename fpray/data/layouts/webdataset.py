"""WebDataset (github.com/webdataset/webdataset): labelled images in tar shards, on disk or in object storage.

Shards are read by index, not streamed. So the order of an epoch comes from its seed, an interrupted run continues with
the same batches, and every image is evaluated once.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from braceexpand import braceexpand
from fsspec.implementations.local import LocalFileSystem
from fsspec.spec import AbstractFileSystem
from numpy.typing import NDArray
from open_clip import IMAGENET_CLASSNAMES
from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, model_validator

from fpray.data import base
from fpray.data.base import Part, Split
from fpray.data.encoded import EncodedImages
from fpray.data.folders import IMAGENET_TEMPLATES, Classes, Share, Templates, UniqueNames, position
from fpray.data.shards import ShardIndex, find, indexes, stamps
from fpray.errors import UserError, message_of
from fpray.section import Section
from fpray.storage import from_home

_DOMAIN = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_DOMAINS: dict[str, Any] = {"minProperties": 1, "propertyNames": {"pattern": f"^{_DOMAIN}$"}}


def _addresses(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Make the local patterns absolute, since workers may run in another folder than the command."""
    for pattern in patterns:
        if pattern.startswith("pipe:"):
            raise ValueError(f"'{pattern}' is a command, and shards are read by index; give paths or addresses")
        if "*" in pattern or re.search(r"\{[^{}]*::[^{}]*\}", pattern):
            raise ValueError(f"'{pattern}' is no pattern here; write it with braces, like train-{{0000..1281}}.tar")
        try:
            list(braceexpand(pattern))
        except ValueError:  # its UnbalancedBracesError
            raise ValueError(f"a brace is missing in '{pattern}'; write it like train-{{0000..1281}}.tar") from None
    return tuple(
        pattern if "://" in pattern else os.path.abspath(from_home(pattern))  # noqa: PTH100 - resolves `..`
        for pattern in patterns
    )


def _class_names(written: Any) -> Any:
    if written == "imagenet":
        return written
    if not isinstance(written, list | tuple) or not all(isinstance(name, str) for name in written):
        raise ValueError("must be the word imagenet, or a list of names (numbers in quotes)")
    return TypeAdapter(Classes).validate_python(written)


def _named_domains(written: Any) -> Any:
    if not isinstance(written, Mapping) or not written:
        raise ValueError("give one domain or more, like {sketch: {test: sketch-{0000..0002}.tar}}")
    for name in written:
        if not re.fullmatch(_DOMAIN, str(name)):
            raise ValueError(
                f"'{name}' can't name a domain; use letters, digits, '.', '_' and '-', and begin with a letter or digit"
            )
    return written


Shards = Annotated[UniqueNames, AfterValidator(_addresses)]
"""Addresses of shards, or patterns of them with braces."""


class IdShards(Section):
    """The ID domain's shards; without `val`, a share of the training images is set aside."""

    train: Shards
    """The shards of training images: paths, addresses, or patterns such as `train-{0000..1281}.tar`."""
    val: Shards | None = None
    """The shards of validation images; null to set the share `id_val` of the training images aside."""
    test: Shards
    """The shards of test images."""


class OodShards(Section):
    """An OOD domain's shards; without `val`, a share of the test images is set aside."""

    val: Shards | None = None
    """The shards of validation images; null to set the share `ood_val` of the test images aside."""
    test: Shards
    """The shards of test images."""


class WebDatasetOptions(base.DataOptions):
    """The addresses of the shards, and the classes that their labels stand for."""

    layout: str = "webdataset"
    id: IdShards
    """The ID domain's shards."""
    ood: Annotated[dict[str, OodShards], BeforeValidator(_named_domains), Field(json_schema_extra=_DOMAINS)]
    """The shards of each OOD domain, by a name for it."""
    classes: Annotated[
        Literal["imagenet"] | tuple[str, ...],
        BeforeValidator(_class_names, json_schema_input_type=Literal["imagenet"] | Classes),
    ]
    """The class of each label, in order; `imagenet` for ImageNet's 1000 by open_clip's names."""
    templates: Templates = IMAGENET_TEMPLATES
    """The prompts that make the head, each with one `{}` for the class's name; without it, OpenAI's 80 for ImageNet."""
    id_val: Share = 0.02
    """The share of the ID domain's training images for validation, where it has no shards for that."""
    ood_val: Share = 0.1
    """The share of each OOD domain's test images for validation, where it has no shards for that."""

    def shards(self) -> Iterator[tuple[str, list[str]]]:
        """Each key that has shards, and the addresses of its shards."""
        sections: dict[str, Section] = {"id": self.id} | {f"ood.{name}": shards for name, shards in self.ood.items()}
        for where, section in sections.items():
            for part in type(section).model_fields:
                if (patterns := getattr(section, part)) is not None:
                    yield f"{where}.{part}", [address for pattern in patterns for address in braceexpand(pattern)]

    @model_validator(mode="after")
    def _each_shard_once(self) -> WebDatasetOptions:
        seen: dict[str, str] = {}
        for key, addresses in self.shards():
            for address in addresses:
                if address in seen:
                    where = f" in {key}" if key == seen[address] else f", in {seen[address]} and in {key}"
                    raise ValueError(f"'{address}' is named twice{where}; name it once")
                seen[address] = key
        return self


class UnreachableShardError(UserError):
    """The storage doesn't give an image; the image itself may be whole."""


class ShardImages(EncodedImages):
    """Images in tar shards: sample i is image i of `samples`, in the shard `addresses[shards[i]]`."""

    def __init__(self, addresses: Sequence[str], shards: NDArray[np.int32], samples: ShardIndex) -> None:
        super().__init__(samples.labels)  # type: ignore[arg-type]
        self.addresses, self.shards, self.samples = addresses, shards, samples
        self._local_paths = [_local_path(address) for address in addresses]
        self._fetched: dict[int, bytes] = {}

    def name_of(self, index: int) -> str:
        return f"{self.addresses[self.shards[index]]}/{os.fsdecode(self.samples.keys[index])}"

    def sizes(self) -> Sequence[int]:
        return [int(size) for size in self.samples.sizes]

    def stamp(self) -> str | None:
        parts = (self.shards, self.samples.offsets, self.samples.sizes)
        where = blake2b(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()
        try:
            return "\n".join([where, *self.addresses, *stamps(self.addresses, "data")])
        except Exception:  # each kind of file system raises its own; it is told where an image is read
            return None

    def place_of(self, index: int) -> str:
        """An image's name without the shard's folder, so that it is the same in a copy of the shards."""
        return f"{self.addresses[self.shards[index]].rpartition('/')[2]}/{os.fsdecode(self.samples.keys[index])}"

    def read(self, index: int) -> bytes:
        """The encoded image.

        Raises:
            OSError: if a local shard can't be read.
            UnreachableShardError: if the image is in other storage, which doesn't give it.
        """
        if (path := self._local_paths[self.shards[index]]) is not None:
            with path.open("rb", buffering=0) as shard:
                return os.pread(shard.fileno(), int(self.samples.sizes[index]), int(self.samples.offsets[index]))
        if index not in self._fetched:
            self.prefetch([index])
        return self._fetched.pop(index)

    def prefetch(self, indices: Sequence[int]) -> None:
        """Fetch the images at some indices that are not local, all at once, for `read`.

        Raises:
            UnreachableShardError: if the storage doesn't give one.
        """
        self._fetched = {}
        by_storage: dict[AbstractFileSystem, list[int]] = defaultdict(list)
        for index in dict.fromkeys(indices):
            if self._local_paths[self.shards[index]] is None:
                by_storage[self._place(index)[0]].append(index)
        for files, wanted in by_storage.items():
            starts = [int(self.samples.offsets[index]) for index in wanted]
            ends = [start + int(self.samples.sizes[index]) for start, index in zip(starts, wanted, strict=True)]
            contents = files.cat_ranges([self._place(index)[1] for index in wanted], starts, ends, on_error="return")
            for index, content in zip(wanted, contents, strict=True):
                if isinstance(content, BaseException):
                    why = message_of(content)
                    raise UnreachableShardError(
                        f"data: can't fetch '{self.name_of(index)}': {why}; see that the storage answers"
                    ) from content
                self._fetched[index] = content

    def _place(self, index: int) -> tuple[AbstractFileSystem, str]:
        return find(self.addresses[self.shards[index]], "data")

    def subset(self, chosen: NDArray[np.bool_]) -> ShardImages:
        """The images at which `chosen`, [images], is true."""
        samples = ShardIndex(**{name: values[chosen] for name, values in vars(self.samples).items()})
        return ShardImages(self.addresses, self.shards[chosen], samples)


def _local_path(address: str) -> Path | None:
    files, path = find(address, "data")
    return Path(path) if isinstance(files, LocalFileSystem) else None


class WebDataset(base.Dataset):
    """Labelled images in tar shards; the shards of a split are indexed when it is asked for."""

    name = "webdataset"
    Options = WebDatasetOptions
    options: WebDatasetOptions

    def __init__(self, options: WebDatasetOptions) -> None:
        super().__init__(options)
        self._shards = dict(options.shards())
        self._images: dict[Split, ShardImages] = {}

    @property
    def classes(self) -> Sequence[str]:
        return IMAGENET_CLASSNAMES if self.options.classes == "imagenet" else self.options.classes

    @property
    def templates(self) -> Sequence[str]:
        return self.options.templates

    def splits(self) -> Sequence[Split]:
        id_parts: tuple[Part, ...] = ("train", "val", "test")
        ood_parts: tuple[Part, ...] = ("val", "test")
        ood = [Split("ood", name, part) for name in self.options.ood for part in ood_parts]
        return (*(Split("id", "id", part) for part in id_parts), *ood)

    def images(self, split: Split) -> ShardImages:
        if split not in self._images:
            self._images |= self._look_up(split)
        return self._images[split]

    def _look_up(self, split: Split) -> dict[Split, ShardImages]:
        """The split's images, and those of the split that it shares its shards with."""
        where = "id" if split.role == "id" else f"ood.{split.domain}"
        shared: Part = "train" if split.role == "id" else "test"
        if f"{where}.val" in self._shards or split.part not in ("val", shared):
            return {split: self._all(f"{where}.{split.part}")}
        images, share = self._all(f"{where}.{shared}"), f"{split.role}_val"
        aside = np.array([position(images.place_of(i), self.options.seed) for i in range(len(images))]) < getattr(
            self.options, share
        )
        if aside.all() or not aside.any():
            change = "lower" if aside.all() else "raise"
            raise UserError(
                f"data.{where}: of {len(images)} images {int(aside.sum())} fall in the validation split; "
                f"{change} data.{share}, or give data.{where}.val"
            )
        return {
            Split(split.role, split.domain, "val"): images.subset(aside),
            Split(split.role, split.domain, shared): images.subset(~aside),
        }

    def _all(self, key: str) -> ShardImages:
        """All images in the shards at a key."""
        addresses = self._shards[key]
        found = indexes(addresses, f"data.{key}")
        shards = np.repeat(np.arange(len(found), dtype=np.int32), [len(index) for index in found])
        arrays = {name: np.concatenate([vars(index)[name] for index in found]) for name in vars(found[0])}
        images = ShardImages(addresses, shards, ShardIndex(**arrays))
        too_high = np.flatnonzero(images.samples.labels >= len(self.classes))
        if len(too_high):
            raise UserError(
                f"data.{key}: the label of '{images.name_of(too_high[0])}' is {images.labels[too_high[0]]}, "
                f"but there are {len(self.classes)} data.classes, numbered from 0"
            )
        return images
