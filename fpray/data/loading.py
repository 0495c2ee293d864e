"""From a split's images to batches of tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from PIL.Image import Image
from torch import Tensor
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import Dataset as TorchDataset

from fpray.data.base import LabelledImages


class Transformed(TorchDataset[tuple[Tensor, int]]):
    """A split's images through a transform, with their labels."""

    def __init__(self, images: LabelledImages, transform: Callable[[Image], Tensor]) -> None:
        self.images, self.transform = images, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.images[index]), self.images.labels[index]


class EpochBatches(Sampler[list[int]]):
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

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(self.size, generator=generator).tolist()
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            yield order[start : start + self.batch_size][self.rank :: self.world_size]


def in_order(
    images: LabelledImages, transform: Callable[[Image], Tensor], indices: Sequence[int], batch_size: int = 256
) -> DataLoader[tuple[Tensor, Tensor]]:
    """Batches of the images at `indices`, in that order, for evaluation."""
    return DataLoader(Transformed(images, transform), batch_size, sampler=indices)  # type: ignore[arg-type]
