"""The file of a finished trial's weights: the classes that it names, its digest, and what lies there once it is pruned.

In the place of weights that are not kept lies their digest, by which they are known when they are made again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING

from fpray.records.store import PRUNED, WEIGHTS, RecordStore
from fpray.storage import read_if_there, remove, sizes_below, write_whole

if TYPE_CHECKING:
    from torch import Tensor


def prune(store: RecordStore, trial_id: str) -> int:
    """Remove a finished trial's weights, and write down their digest first.

    Returns:
        The bytes that they took; 0 if they are gone already.
    """
    folder = store.trial_folder(trial_id)
    if not (folder / WEIGHTS).exists():
        return 0
    weights = store.read_weights(trial_id)
    size = sum(value.numel() * value.element_size() for value in weights.values())
    write_whole(folder / PRUNED, json.dumps({"digest": digest_of(weights), "bytes": size}).encode())
    remove(folder / WEIGHTS)
    return size


def kept_bytes(store: RecordStore) -> dict[str, int]:
    """The bytes of each trial's weights, of those that are kept."""
    found = sizes_below(store.folder / "trials", f"*/{WEIGHTS}")
    return {file.partition("/")[0]: size for file, size in found.items()}


def pruned_digest(store: RecordStore, trial_id: str) -> str | None:
    """The digest of a trial's weights that were pruned; None if they weren't."""
    written = read_if_there(store.trial_folder(trial_id) / PRUNED)
    if written is None or (store.trial_folder(trial_id) / WEIGHTS).exists():
        return None
    return str(json.loads(written)["digest"])


def digest_of(weights: Mapping[str, Tensor]) -> str:
    """A text that changes with any bit of any weight."""
    digest = blake2b(digest_size=16)
    for key in sorted(weights):
        value = weights[key].detach().cpu().contiguous()
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.reshape(-1).numpy().tobytes())
    return digest.hexdigest()


def classes_of(store: RecordStore, trial_id: str) -> list[str] | None:
    """The names of the classes that a trial's weights tell apart; None if they are gone, or of an earlier fpray."""
    content = read_if_there(store.trial_folder(trial_id) / WEIGHTS)
    if content is None:
        return None
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])  # safetensors' own format
    written = header.get("__metadata__", {}).get("fpray")
    return None if written is None else [str(name) for name in json.loads(written)["classes"]]
