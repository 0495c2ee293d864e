"""The fingerprint of the data: what tells a folder's images from others, without decoding one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b

from pydantic import BaseModel, ConfigDict, Field

from fpray.data.base import DataOptions, Dataset, LabelledImages
from fpray.data.beside import with_those_beside
from fpray.data.crops import PIXELS
from fpray.data.layouts import open_dataset

OF_SEED = " of seed "
"""Between a split's name and its draw's seed."""


class Fingerprint(BaseModel):
    """The number of a split's images, and digests of their names, their sizes in bytes, their labels and their captions
    (empty where they have none), in order; and the version of the pixels that they give."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    images: int = Field(ge=0)
    names: str
    sizes: str
    labels: str
    captions: str = ""
    pixels: int = 1
    stage: int = 1
    """See `LabelledImages.stage`."""


def fingerprints(dataset: Dataset) -> dict[str, Fingerprint]:
    """The fingerprint of each split, those of the sets beside it too, by its name.

    Raises:
        UserError: if something of the dataset is missing or wrong.
    """
    return {split.name: _fingerprint(own.images(split)) for own in with_those_beside(dataset) for split in own.splits()}


def fingerprints_of_draws(options: DataOptions) -> dict[str, Fingerprint]:
    """The fingerprint of each split of each draw; where there are several, the draw's seed follows the split's name.

    Raises:
        UserError: if something of the dataset is missing or wrong.
    """
    if len(options.seeds) == 1:
        return fingerprints(open_dataset(options))
    found = {seed: fingerprints(open_dataset(options.drawn(seed))) for seed in options.seeds}
    return {f"{name}{OF_SEED}{seed}": own for seed, splits in found.items() for name, own in splits.items()}


def split_and_seed(key: str) -> tuple[str, int | None]:
    """The split's name and the draw's seed of a key of `fingerprints_of_draws`; None where there is one draw."""
    name, _, seed = key.partition(OF_SEED)
    return name, int(seed) if seed else None


def differences(before: Mapping[str, Fingerprint], now: Mapping[str, Fingerprint]) -> list[str]:
    """What of the data has changed, in words for each split."""
    lines = [f"{name} is gone" for name in before.keys() - now.keys()]
    lines += [f"{name} is new" for name in now.keys() - before.keys()]
    for name in before.keys() & now.keys():
        lines += [f"{name} {what}" for what in _difference(before[name], now[name])]
    return sorted(lines)


def _difference(before: Fingerprint, now: Fingerprint) -> list[str]:
    if before.images != now.images:
        return [f"had {before.images:,} images, has {now.images:,}"]
    if before.names != now.names:
        return ["has as many images, under other names"]
    sizes = ["has files of other sizes under the same names"] if before.sizes != now.sizes else []
    labels = ["has other labels"] if before.labels != now.labels else []
    return sizes + labels + (["has other captions"] if before.captions != now.captions else [])


def _fingerprint(images: LabelledImages) -> Fingerprint:
    return Fingerprint(
        images=len(images),
        names=_digest(images.name_of(index) for index in range(len(images))),
        sizes=_digest(map(str, images.sizes())),
        labels=_digest(str(int(label)) for label in images.labels),
        captions="" if images.captions is None else _digest(images.captions),
        pixels=PIXELS,
        stage=images.stage,
    )


def _digest(texts: Iterable[str]) -> str:
    digest = blake2b(digest_size=16)
    for text in texts:
        digest.update(text.encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()
