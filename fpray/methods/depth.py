"""How deep a weight lies in an image tower: which of its blocks it belongs to."""

from __future__ import annotations

import re
from collections.abc import Iterable

from fpray.errors import UserError
from fpray.model import LoadedClip

BLOCK = re.compile(r"\.(?:resblocks|blocks|layers|stages|layer)\.?(\d+)\.")
"""A block's number in the name of a weight: open_clip's and timm's ViTs, ConvNeXt's stages, ResNets' layers."""
BEFORE = re.compile(
    r"visual\.(?:trunk\.)?"
    r"(?:conv\d|bn\d|stem|patch|class_embedding|cls_token|positional_embedding|pos_embed|ln_pre|norm_pre|reg_token)"
)
"""The names of the weights before the first block."""


def blocks_of(keys: Iterable[str]) -> dict[str, int]:
    """The number of each weight's block, from 0 on, of those in one."""
    found = {key: int(match[1]) for key in keys if (match := BLOCK.search(key))}
    numbers = sorted(set(found.values()))
    return {key: numbers.index(number) for key, number in found.items()}


def is_before_blocks(key: str) -> bool:
    """Whether a weight acts before the first block, and not behind the last."""
    return BEFORE.match(key) is not None


def require_blocks(loaded: LoadedClip, method: str) -> None:
    """
    Raises:
        UserError: if the names of an image tower's weights tell of fewer than two blocks.
    """
    if len(set(blocks_of(f"visual.{key}" for key in loaded.visual.state_dict()).values())) < 2:
        raise UserError(
            f"methods.{method}: the weights of '{loaded.name}' don't say in which block they lie; leave the method out"
        )
