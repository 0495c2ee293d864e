"""From a split's images to batches of tensors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import Dataset as TorchDataset

from fpray.data.base import LabelledImages, UnreadableImageError
from fpray.data.crops import BLANK, Crop, Crops
from fpray.seeds import draw_seed, order_seed

Draw: TypeAlias = tuple[int, int]
"""An epoch and the index of an image that is drawn in it."""
Place: TypeAlias = tuple[int, int]
"""The number of a split among several, and the index of one of its images."""
Batch: TypeAlias = Mapping[str, Tensor]
"""Tensors by name, each with the batch's images along its first dimension: `images`, `labels`, and more."""
REPLAYED = "replayed"
"""The start of the names of what is replayed beside a batch's images."""
EVALUATED_AT_ONCE = {"cpu": 128, "cuda": 256}
"""The images of a batch for evaluation, by the kind of device: the fewest with which it is at its fastest."""


class Items(TorchDataset[Batch]):
    """The items of a training epoch: of each image a mapping like `Batch`, without its first dimension."""

    epoch: int = 0
    """The epoch whose items are asked for."""

    @abstractmethod
    def __len__(self) -> int: ...

    def keep(self, limit: int, epochs: int, seed: int) -> None:
        """Keep on this node's disk what is computed for the items of so many epochs, where that is possible.

        Args:
            limit: the most bytes that all that is kept may take.
            seed: decides, with the epoch and the index, the random numbers that an item is made with.
        """

    def source(self, epochs: int, seed: int) -> str | None:
        """A text that changes with all that decides the images of so many epochs' items, where they are decided by
        seed, epoch and index alone; else None, and then nothing that is computed of them is kept."""
        return None

    def prefetch(self, indices: Sequence[int]) -> None:
        """Get items ready that will be asked for next (see `LabelledImages.prefetch`)."""


class Transformed(Items):
    """A split's `images`, cropped, with their `labels`; an unreadable one raises."""

    def __init__(self, images: LabelledImages, crop: Crop) -> None:
        self.images, self.crops = images, Crops(images, crop)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Batch:
        return self._item(self.crops.at(self.epoch, index), index)

    def _item(self, cropped: Tensor, index: int) -> Batch:
        return {"images": cropped, "labels": torch.tensor(int(self.images.labels[index]))}

    def keep(self, limit: int, epochs: int, seed: int) -> None:
        self.crops.keep(limit, epochs, seed)

    def source(self, epochs: int, seed: int) -> str | None:
        # What extends this class may do anything with the crops, and something else tomorrow.
        return self.crops.source(epochs, seed) if type(self) is Transformed else None

    def __getitems__(self, indices: Sequence[int]) -> list[Batch]:
        """A batch: torch's loader asks for it in one."""
        self.prefetch(indices)
        return [self[index] for index in indices]

    def prefetch(self, indices: Sequence[int]) -> None:
        self.crops.prefetch(self.epoch, indices)


class Blanked(Transformed):
    """The same for evaluation, where every image has its place: an unreadable one is black."""

    def __getitem__(self, index: int) -> Batch:
        try:
            return super().__getitem__(index)
        except UnreadableImageError:
            return self._item(self.crops.crop(BLANK), index)


class InTurn(TorchDataset[Batch]):
    """The images of several splits for evaluation, by place."""

    def __init__(self, splits: Sequence[Blanked]) -> None:
        self.splits = splits

    def __getitem__(self, place: Place) -> Batch:
        number, index = place
        return self.splits[number][index]

    def __getitems__(self, places: Sequence[Place]) -> list[Batch]:
        """A batch: torch's loader asks for it in one."""
        for number, own in groupby(places, key=itemgetter(0)):
            self.splits[number].prefetch([index for _, index in own])
        return [self[place] for place in places]


class Draws(TorchDataset[Batch]):
    """Training items by draw. An unreadable one is skipped: the next takes its place, so batches keep their size.

    Each draw augments with random numbers of its own, made of seed, epoch and index: they don't depend on which
    process loads it, nor on what was loaded before. Items get their place among all draws, `draws`.
    """

    def __init__(self, items: Items, seed: int, epochs: int = 1) -> None:
        self.items, self.seed, self.epochs = items, seed, epochs

    @property
    def rows(self) -> int:
        """The number of all draws."""
        return self.epochs * len(self.items)

    def source(self) -> str | None:
        """See `Items.source`."""
        return self.items.source(self.epochs, self.seed)

    def __getitem__(self, draw: Draw) -> Batch:
        self.items.epoch, index = draw
        row = self.items.epoch * len(self.items) + index
        while True:
            try:
                with torch.random.fork_rng(devices=[]):
                    # torch.manual_seed would seed the GPUs too, which loader processes must not touch.
                    torch.default_generator.manual_seed(draw_seed(self.seed, self.items.epoch, index))
                    return {**self.items[index], "draws": torch.tensor(row)}
            except UnreadableImageError:  # ends: too many of them are another error
                index = (index + 1) % len(self.items)

    def __getitems__(self, draws: Sequence[Draw]) -> list[Batch]:
        """A batch, all of one epoch: torch's loader asks for it in one."""
        self.items.epoch = draws[0][0]
        self.items.prefetch([index for _, index in draws])
        return [self[draw] for draw in draws]


class EpochBatches(Sampler[list[Draw]]):
    """One worker's share of each global batch of the training epochs, one epoch after another: in one stream, so that
    batches of the next epoch are loaded while this one's end is evaluated.

    The order depends on the seed and the epoch alone, so an interrupted run meets the same batches. Each global
    batch is shared out to the workers in turn, so their gradients average to the global batch's. What is left
    over at the end of an epoch (less than a batch) waits for another epoch's shuffle, as in open_clip.
    """

    def __init__(self, size: int, batch_size: int, seed: int, rank: int, world_size: int, epochs: range) -> None:
        # Of few images, as many as the workers can share evenly.
        self.size, self.batch_size, self.seed = size, min(batch_size, size - size % world_size), seed
        self.rank, self.world_size, self.epochs = rank, world_size, epochs

    @property
    def steps(self) -> int:
        """The batches of an epoch."""
        return self.size // self.batch_size

    def __len__(self) -> int:
        return len(self.epochs) * self.steps

    def __iter__(self) -> Iterator[list[Draw]]:
        for epoch in self.epochs:
            generator = torch.Generator().manual_seed(order_seed(self.seed, epoch))
            order = torch.randperm(self.size, generator=generator).tolist()
            for start in range(0, self.steps * self.batch_size, self.batch_size):
                share = order[start : start + self.batch_size][self.rank :: self.world_size]
                yield [(epoch, index) for index in share]


class Rounds(Sampler[list[Draw]]):
    """One worker's share of some global batches of images that are gone round as often as it takes.

    The batches of all rounds are numbered: `numbers` are a training's, however long its own epochs are, so a training
    that is gone on with meets those that it would have met. For the rest see `EpochBatches`; a round is its epoch.
    """

    def __init__(self, size: int, batch_size: int, seed: int, rank: int, world_size: int, numbers: range) -> None:
        self.numbers = numbers
        self._of = partial(EpochBatches, size, batch_size, seed, rank, world_size)
        self.steps = self._of(range(0)).steps
        """The batches of a round."""

    @property
    def rounds(self) -> int:
        """The number of rounds from the first batch of all to the last of these."""
        return -(-self.numbers.stop // self.steps)

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[list[Draw]]:
        first, before = divmod(self.numbers.start, self.steps)
        return islice(self._of(range(first, self.rounds)), before, before + len(self))


def loader(images: TorchDataset[Any], workers: int, device: torch.device, **batches: Any) -> DataLoader[Any]:
    """A loader with processes of its own (0: none), that keeps them and fills pinned memory for a GPU."""
    return DataLoader(
        images,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=device.type == "cuda",
        generator=torch.Generator(),  # else each start of an epoch would use up one of the process's random numbers
        **batches,
    )


def to_device(batch: Batch, device: torch.device) -> Batch:
    """A batch on the device: copied while the device works, and images there with channels last, which is faster. What
    says which draws they are stays: it is read here."""
    return {name: value if name == "draws" else _moved(value, device) for name, value in batch.items()}


def _moved(value: Tensor, device: torch.device) -> Tensor:
    if device.type == "cuda" and value.ndim == 4:
        return value.to(device, non_blocking=True, memory_format=torch.channels_last)
    return value.to(device, non_blocking=True)


def in_order(
    splits: Sequence[tuple[LabelledImages, Sequence[int]]],
    crop: Crop,
    workers: int,
    device: torch.device,
    batch_size: int | None = None,
    kept_bytes: int = 0,
) -> DataLoader[Batch]:
    """Batches of some images of each split, in the order of the splits and of their indices, for evaluation.

    Args:
        batch_size: of a number that suits the device, if it is None. A batch may hold images of two splits.
        kept_bytes: the most bytes to keep on this node's disk, these images' crops among them.
    """
    items = [Blanked(images, crop) for images, _ in splits]
    for own in items:
        own.crops.keep(kept_bytes)
    places = [(number, index) for number, (_, indices) in enumerate(splits) for index in indices]
    return loader(
        InTurn(items), workers, device, batch_size=batch_size or EVALUATED_AT_ONCE[device.type], sampler=places
    )
