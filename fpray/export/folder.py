"""The folder of an exported model, in the form that open_clip's `local-dir:` takes.

It holds the image tower as the trial left it (LoRA merged, WiSE-FT blended) with the text tower as it was before, the
head, the classes, the preprocessing, the model card and the sweep file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from upath import UPath

from fpray import __version__
from fpray.data import open_dataset
from fpray.errors import UserError
from fpray.export.again import weights_of_trial
from fpray.export.card import card
from fpray.export.choosing import Chosen
from fpray.model import (
    CLASSES_FILE,
    HEAD_FILE,
    LoadedClip,
    Model,
    averaged,
    load_reference,
    metadata_of,
    open_clip_config,
    open_model,
    save_tokenizer,
    weights_of,
)
from fpray.records import SweepFolder, classes_of
from fpray.results import Results
from fpray.storage import write_whole

WEIGHTS_FILE, CONFIG_FILE = "open_clip_model.safetensors", "open_clip_config.json"


def write_model(results: Results, chosen: Chosen, to: Path) -> str | None:
    """Write a chosen model into a folder, which must be new or empty.

    Returns:
        What is to be said of the weights, see `weights_of_trial`.

    Raises:
        UserError: if the folder has something in it, or the trial's weights, or the data's classes, can't be read.
    """
    require_new(to)
    model = chosen.record.trial.model or results.sweep.model.each()[0]
    loaded = open_model(model.name, model.pretrained)
    weights, remark = _weights(results, chosen, model)
    known = classes_of(SweepFolder(results.folder).records, chosen.record.trial.id)
    classes = known or list(open_dataset(results.sweep.data).classes)
    metadata = metadata_of(model, classes)
    to.mkdir(parents=True, exist_ok=True)
    whole = _whole(loaded, weights)
    write_whole(UPath(to / WEIGHTS_FILE), lambda part: save_file(whole, part, metadata))
    head = {key.removeprefix("head."): value for key, value in weights.items() if key.startswith("head.")}
    write_whole(UPath(to / HEAD_FILE), lambda part: save_file(head, part, metadata))
    (to / CONFIG_FILE).write_text(json.dumps(_configuration(loaded, model), indent=2) + "\n")
    (to / CLASSES_FILE).write_text(json.dumps(classes, indent=1, ensure_ascii=False) + "\n")
    (to / "sweep.yaml").write_bytes(SweepFolder(results.folder).sweep_file.read_bytes())
    (to / "README.md").write_text(card(results, chosen, model, len(classes), remark))
    save_tokenizer(loaded, to)
    return remark


def require_new(to: Path) -> None:
    """
    Raises:
        UserError: if something is there that would be written over.
    """
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise UserError(f"--to: '{to}' is there already and not an empty folder; name a new one")


def _weights(results: Results, chosen: Chosen, model: Model) -> tuple[dict[str, Tensor], str | None]:
    """The classifier's weights, as `weights_of` gives them, and what is to be said of them."""
    own, remark = weights_of_trial(results, chosen.record)
    if chosen.alpha is None:
        return own, remark
    dataset = open_dataset(results.sweep.data.drawn(chosen.record.trial.draw))
    reference = load_reference(model.name, model.pretrained, dataset, torch.device("cpu"))
    return weights_of(averaged(reference.classifier, own, chosen.alpha)), remark


def _whole(loaded: LoadedClip, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Both towers' weights: the trial's image tower, and the rest of the pre-trained model."""
    tower = {key: value for key, value in weights.items() if key.startswith("visual.")}
    before = loaded.clip.state_dict()
    if missing := [key for key in before if key.startswith("visual.") and key not in tower]:
        raise UserError(f"the trial's weights lack {missing[0]}: they are of another model than '{loaded.name}'")
    return {key: value.contiguous().clone() for key, value in (before | tower).items()}


def _configuration(loaded: LoadedClip, model: Model) -> dict[str, Any]:
    """What `open_clip_config.json` says, from which open_clip builds the model and its transforms."""
    made_with = {"version": __version__, "base": model.model_dump(mode="json")}
    return open_clip_config(loaded, model.pretrained) | {"fpray": made_with}
