"""A checkpoint of one's own: a file of weights, or a folder of a model, in the architecture of a loaded one.

A folder that `fpray export` wrote has a head beside the towers, and the names of its classes.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import open_clip
import torch
from safetensors.torch import load_file
from torch import nn

from fpray.errors import UserError
from fpray.model.classifier import Classifier, zero_shot_head
from fpray.model.clip import LoadedClip, load_clip
from fpray.model.names import LOCAL
from fpray.model.opening import told

CLASSES_FILE, HEAD_FILE = "classes.json", "head.safetensors"
"""What an exported model's folder has beside what open_clip knows."""


def read_head(folder: Path) -> tuple[list[str], nn.Linear]:
    """The classes and the head in a folder that `fpray export` wrote."""
    classes = [str(name) for name in json.loads((folder / CLASSES_FILE).read_text())]
    weights = load_file(folder / HEAD_FILE)
    head = nn.Linear(weights["weight"].shape[1], weights["weight"].shape[0])
    head.load_state_dict(weights)
    return classes, head


def read_checkpoint(
    path: str, key: str, loaded: LoadedClip, classes: Sequence[str], templates: Sequence[str]
) -> Classifier:
    """The classifier for some classes that a checkpoint of a loaded model's architecture makes.

    Its head is the one in the folder, else the zero-shot head of the checkpoint's own text tower.

    Args:
        path: a file of a whole CLIP's weights, as open_clip and `torch.save` write it, or a folder as `local-dir:`
            names one.
        key: the sweep file's key that names it, for errors.

    Raises:
        UserError: if it isn't there, can't be read, or is of another architecture or of other classes.
    """
    place = Path(path)
    if not place.exists():
        raise UserError(f"{key}: no such file or folder: '{path}'; name one that is there")
    with told(f"{key}: '{path}'", loaded.name, place):
        clip = _clip(place, loaded)
        own = read_head(place) if (place / HEAD_FILE).is_file() else None
    if own is None:
        head = zero_shot_head(clip, classes, templates)
    else:
        head = _in_order(own[1], own[0], classes, f"{key}: '{path}'")
    return Classifier(clip.visual, head.to(loaded.logit_scale.device)).eval().requires_grad_(False)


def _clip(place: Path, loaded: LoadedClip) -> LoadedClip:
    """The loaded model with the weights at a place."""
    clip, device = copy.deepcopy(loaded.clip), loaded.logit_scale.device
    if place.is_dir():
        clip.load_state_dict(load_clip(f"{LOCAL}{place}", None, device).clip.state_dict())
    else:
        open_clip.load_checkpoint(clip, str(place), weights_only=True, device=str(device))
    return replace(loaded, clip=clip)


@torch.no_grad()
def _in_order(head: nn.Linear, known: Sequence[str], classes: Sequence[str], what: str) -> nn.Linear:
    """A head's rows in the order of some classes."""
    if missing := [name for name in classes if name not in known]:
        raise UserError(
            f"{what} tells {len(known)} classes apart, and '{missing[0]}' is none of them; export one that does"
        )
    if len(known) > len(classes):
        other = next(name for name in known if name not in classes)
        raise UserError(f"{what} knows a class '{other}' too, which the data has not; export one of the data's classes")
    order = [known.index(name) for name in classes]
    head.weight.copy_(head.weight[order])
    head.bias.copy_(head.bias[order])
    return head
