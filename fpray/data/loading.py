"""From a split's images to batches of tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable
from zlib import crc32

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import Dataset as TorchDataset

from fpray.data.base import LabelledImages
from fpray.data.encoded import UnreadableImageError

Transform = Callable[[Image.Image], Tensor]
Draw = tuple[int, int]
"""An epoch and the index of an image that is drawn in it."""


@runtime_checkable
class Prefetching(Protocol):
    """What gets many images ready at once, where that is faster than one after another."""

    def prefetch(self, indices: Sequence[int]) -> None: ...


def prefetch(images: object, indices: Sequence[int]) -> None:
    """Let images get ready that will be asked for next, if they can."""
    if isinstance(images, Prefetching):
        images.prefetch(indices)


class Transformed(TorchDataset[tuple[Tensor, int]]):
    """A split's images through a transform, with their labels; an unreadable one raises."""

    def __init__(self, images: LabelledImages, transform: Transform) -> None:
        self.images, self.transform = images, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.images[index]), int(self.images.labels[index])

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Tensor, int]]:
        """A batch: torch's loader asks for it in one."""
        self.prefetch(indices)
        return [self[index] for index in indices]

    def prefetch(self, indices: Sequence[int]) -> None:
        prefetch(self.images, indices)


class Blanked(Transformed):
    """The same for evaluation, where every image has its place: an unreadable one is black."""

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        try:
            return super().__getitem__(index)
        except UnreadableImageError:
            return self.transform(Image.new("RGB", (64, 64))), int(self.images.labels[index])


class Draws(TorchDataset[tuple[Tensor, int]]):
    """Training images by draw. An unreadable one is skipped: the next takes its place, so batches keep their size.

    Each draw augments with random numbers of its own, made of seed, epoch and index: they don't depend on which
    process loads it, nor on what was loaded before.
    """

    def __init__(self, images: TorchDataset[tuple[Tensor, int]], seed: int) -> None:
        self.images, self.seed = images, seed

    def __getitem__(self, draw: Draw) -> tuple[Tensor, int]:
        epoch, index = draw
        while True:
            try:
                with torch.random.fork_rng(devices=[]):
                    # torch.manual_seed would seed the GPUs too, which loader processes must not touch.
                    torch.default_generator.manual_seed(crc32(f"{self.seed}/{epoch}/{index}".encode()))
                    return self.images[index]
            except UnreadableImageError:  # ends: too many of them are another error
                index = (index + 1) % len(self.images)  # type: ignore[arg-type]

    def __getitems__(self, draws: Sequence[Draw]) -> list[tuple[Tensor, int]]:
        """A batch: torch's loader asks for it in one."""
        prefetch(self.images, [index for _, index in draws])
        return [self[draw] for draw in draws]


class EpochBatches(Sampler[list[Draw]]):
    """One worker's share of each global batch of a training epoch.

    The order depends on the seed and the epoch alone, so an interrupted run meets the same batches. Each global
    batch is dealt out to the workers in turn, so their gradients average to the global batch's. What is left
    over at the end of an epoch (less than a batch) waits for another epoch's shuffle, as in open_clip.
    """

    def __init__(self, size: int, batch_size: int, seed: int, rank: int, world_size: int) -> None:
        # Of few images, as many as the workers can share evenly.
        self.size, self.batch_size, self.seed = size, min(batch_size, size - size % world_size), seed
        self.rank, self.world_size = rank, world_size
        self.epoch = 0

    def __len__(self) -> int:
        return self.size // self.batch_size

    def __iter__(self) -> Iterator[list[Draw]]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(self.size, generator=generator).tolist()
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            share = order[start : start + self.batch_size][self.rank :: self.world_size]
            yield [(self.epoch, index) for index in share]


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


def to_device(batch: Tensor, device: torch.device) -> Tensor:
    """A batch on the device: copied while the device works, and images there with channels last, which is faster."""
    if device.type == "cuda" and batch.ndim == 4:
        return batch.to(device, non_blocking=True, memory_format=torch.channels_last)
    return batch.to(device, non_blocking=True)


def in_order(
    images: LabelledImages,
    transform: Transform,
    indices: Sequence[int],
    workers: int,
    device: torch.device,
    batch_size: int = 256,
) -> DataLoader[tuple[Tensor, Tensor]]:
    """Batches of the images at `indices`, in that order, for evaluation."""
    return loader(Blanked(images, transform), workers, device, batch_size=batch_size, sampler=indices)
