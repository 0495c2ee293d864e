"""Checkpoints: all that a trial needs to go on as if it had not been interrupted, in one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from pydantic import TypeAdapter
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor, nn
from torch.optim import Optimizer
from upath import UPath

from fpray.records import Epoch
from fpray.storage import Writer, files_below, read_whole, remove, write_whole

KEPT = 2
"""The number of checkpoints that a trial has: the newest, and one to fall back to if that is damaged."""
_HISTORY = TypeAdapter(tuple[Epoch, ...])


@dataclass(frozen=True)
class Checkpoint:
    """The state after `len(history)` epochs.

    The tensors hold the trained weights, the buffers and the optimiser's state. The position in the data is the
    number of epochs. Random numbers are drawn from a generator that each epoch seeds anew from the trial's seed and
    the epoch's number, so the position is their state too.
    """

    tensors: dict[str, Tensor]
    history: tuple[Epoch, ...]

    @classmethod
    def of(cls, method: nn.Module, optimizer: Optimizer, history: tuple[Epoch, ...]) -> Checkpoint:
        """The state of a trial at the end of an epoch."""
        tensors = {f"method.{name}": tensor for name, tensor in _trained(method).items()}
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{key}": torch.as_tensor(value) for key, value in state.items()}
        return cls({name: t.detach().cpu().contiguous() for name, t in tensors.items()}, history)

    def restore(self, method: nn.Module, optimizer: Optimizer) -> None:
        """Put the state back into a method and an optimiser that were made anew."""
        with torch.no_grad():
            for name, tensor in _trained(method).items():
                tensor.copy_(self.tensors[f"method.{name}"])
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in self.tensors.items():
            if name.startswith("optimizer."):
                _, index, key = name.split(".", 2)
                state.setdefault(int(index), {})[key] = tensor.clone()
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        for weight, own in optimizer.state.items():
            for key, value in own.items():
                if value.shape == weight.shape:  # laid out in memory as the weight is, which fused AdamW relies on
                    own[key] = torch.empty_like(weight, requires_grad=False).copy_(value)

    def write(self, folder: UPath, put: Callable[[UPath, Writer], None] = write_whole) -> None:
        """Write the checkpoint, then remove older ones: two stay, the newest and one to fall back to.

        Args:
            put: writes a file, whole or not at all.
        """
        newest = folder / f"epoch-{len(self.history):04d}.safetensors"
        metadata = {"history": _HISTORY.dump_json(self.history).decode()}
        put(newest, partial(save_file, self.tensors, metadata=metadata))
        names = _names(folder)
        stale = [name for name in names if name <= newest.name][:-KEPT]
        stale += [name for name in names if name > newest.name]  # after a damaged one that the trial fell back from
        for name in stale:
            remove(folder / name)


def newest_checkpoint(folder: UPath) -> Checkpoint | None:
    """The newest checkpoint of a trial that is whole, or None."""
    for name in reversed(_names(folder)):
        try:
            return _read(read_whole(folder / name))
        except (SafetensorError, ValueError, KeyError, FileNotFoundError):
            continue  # damaged: the one before counts
    return None


def _names(folder: UPath) -> list[str]:
    """The checkpoints in a folder, from the oldest to the newest."""
    return files_below(folder, "epoch-*.safetensors")


def _read(content: bytes) -> Checkpoint:
    tensors = load(content)  # first: it finds every kind of damage
    # The format: 8 bytes of header length, then the header as JSON (github.com/huggingface/safetensors).
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return Checkpoint(tensors, _HISTORY.validate_json(header["__metadata__"]["history"]))


def _trained(method: nn.Module) -> dict[str, Tensor]:
    """The tensors that training changes: weights that require a gradient, and buffers (running statistics)."""
    weights = {name: p for name, p in method.named_parameters() if p.requires_grad}
    return weights | dict(method.named_buffers())
