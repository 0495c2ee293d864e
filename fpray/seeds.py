"""Seeds: the number that each use of randomness starts from, made of a seed that the sweep file gives.

Their forms differ, and stay as they are: another number would be another trial. A method is made from its trial's
seed itself, and DrawNet's pictures have a recipe of their own (`fpray.data.layouts.drawnet`).
"""

from __future__ import annotations

import hashlib
from zlib import crc32

EPOCHS = 1_000_003
"""A prime above any number of epochs: so two seeds have no epoch's number in common."""
WORKERS = 1009
"""A prime above any number of workers of a trial, to the same end. A seed is below 2^32, so all of it fits 63 bits."""


def order_seed(seed: int, epoch: int) -> int:
    """The seed of an epoch's order: the same for all workers, since each takes its share of one order."""
    return seed * EPOCHS + epoch


def epoch_seed(seed: int, epoch: int, rank: int) -> int:
    """The seed of what a worker draws in an epoch (dropout): another on each, so that their masks differ."""
    return order_seed(seed, epoch) * WORKERS + rank


def draw_seed(seed: int, epoch: int, index: int) -> int:
    """The seed of one image's augmentation in an epoch.

    A checksum (32 bits), since a product of three numbers would not fit, and it is made for every image: it is fast.
    That two images may share a number does no harm.
    """
    return crc32(f"{seed}/{epoch}/{index}".encode())


def replay_seed(seed: int) -> int:
    """The seed of what a trial replays, its order and augmentation: another than that of its own images."""
    return crc32(f"{seed}/replayed".encode())


def suggestion_seed(seed: int, study: str, number: int) -> int:
    """The seed of a study's suggestion of trial `number`.

    Optuna's samplers take 32 bits, and a study's name is text: so these are the first four bytes of a hash.
    """
    return int.from_bytes(hashlib.sha256(f"{seed}/{study}/{number}".encode()).digest()[:4], "little")
