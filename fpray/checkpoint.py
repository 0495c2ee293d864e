"""Checkpoints: all that a trial needs to go on as if it had not been interrupted, in one safetensors file."""

from __future__ import annotations

import json
from dataclasses import dataclass

import torch
from pydantic import TypeAdapter
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.optim import Optimizer
from upath import UPath

from fpray.records import Epoch
from fpray.storage import write_whole

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

    def write(self, folder: UPath) -> None:
        """Write the checkpoint, then remove the older ones: at every moment one whole checkpoint is there."""
        newest = folder / f"epoch-{len(self.history):04d}.safetensors"
        metadata = {"history": _HISTORY.dump_json(self.history).decode()}
        write_whole(newest, save(self.tensors, metadata))
        for path in list(folder.iterdir()):
            if path.suffix == ".safetensors" and path.name < newest.name:
                path.unlink()


def newest_checkpoint(folder: UPath) -> Checkpoint | None:
    """The newest whole checkpoint of a trial, or None."""
    paths = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    names = [name for name in paths if name.startswith("epoch-") and name.endswith(".safetensors")]
    if not names:
        return None
    content = (folder / names[-1]).read_bytes()
    # The format: 8 bytes of header length, then the header as JSON (github.com/huggingface/safetensors).
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return Checkpoint(load(content), _HISTORY.validate_json(header["__metadata__"]["history"]))


def _trained(method: nn.Module) -> dict[str, Tensor]:
    """What training changes: the weights that require a gradient, and the buffers (running statistics)."""
    weights = {name: p for name, p in method.named_parameters() if p.requires_grad}
    return weights | dict(method.named_buffers())
