"""Before any trial: every model of a sweep really loads, and every method can be applied to it."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from huggingface_hub import constants, get_session
from torch import nn

from fpray.config import Sweep
from fpray.data.base import Split
from fpray.errors import UserError, did_you_mean
from fpray.methods import METHODS
from fpray.model import EMBEDDED, Classifier, LoadedClip, check_model, load_clip, zero_shot_head
from fpray.records import Count, accuracies

REACHED_WITHIN = 5.0
"""Seconds in which the Hugging Face Hub must answer to count as reachable."""
REASONS = (
    # What is in the names and messages of the exceptions, and what it means. The first one found counts.
    (
        "OfflineModeIsEnabled|LocalEntryNotFoundError|URLError",
        "is not on this machine, and {hub} can't be reached; connect the machine, or copy the model here and name "
        "its weights' file as model.pretrained or its folder as model.name, 'local-dir:FOLDER'",
    ),
    (
        "HfHubHTTPError",
        "can't be downloaded from {hub} ({error}); check the name, and run `hf auth login` if it is not public",
    ),
    (
        "MemoryError|OutOfMemoryError|can't allocate memory|not enough memory",
        "needs more memory than this machine has free; free some, or name a smaller model",
    ),
    (
        "TorchScript archive",
        "is a TorchScript archive, as OpenAI's own files are, which holds code and is not run; write the tag 'openai' "
        "instead, or save its weights as .safetensors",
    ),
    (
        "UnpicklingError",
        "holds more than tensors, which could run code and is not read; save its state_dict alone, as .safetensors",
    ),
    ("Required pretrained weights", "has no weights; add them as open_clip_model.safetensors"),
    (
        "SafetensorError|EOFError|PytorchStreamReader",
        "has weights that are damaged; copy or download them again",
    ),
    (
        # safetensors says the second of a file that may not be read.
        "PermissionError|FileNotFoundError",
        "can't be read ({error}); see that the file is there, and that you may read it",
    ),
)


def preflight(sweep: Sweep) -> None:
    """Load every model of a sweep once, and hold every chosen method against it.

    Raises:
        UserError: for the first model that can't be loaded, or the first method that can't be applied.
    """
    for model in sweep.model.each():
        loaded = open_model(model.name, model.pretrained)
        if sweep.train.gradient_checkpointing and not can_checkpoint(loaded.clip.visual):
            raise UserError(
                f"train.gradient_checkpointing: the image tower of '{model.name}' doesn't offer it; leave it out"
            )
        for name, settings in sweep.methods.chosen().items():
            METHODS[name].check(loaded, settings.space())


def check_objectives(sweep: Sweep, splits: Sequence[Split]) -> None:
    """Find out whether a dataset with these splits has the accuracies that a sweep searches by.

    Raises:
        UserError: for the first objective that it hasn't.
    """
    known = accuracies({split.name: Count(correct=0, total=1) for split in splits if split.part == "val"})
    for objective in sweep.search.objectives:
        if objective not in known:
            raise UserError(f"search.objectives: the data has no '{objective}'; {did_you_mean(objective, known)}")


def can_checkpoint(tower: nn.Module) -> bool:
    """Whether gradient checkpointing can be switched on: some towers take the call and do nothing."""
    tower.set_grad_checkpointing()  # type: ignore[operator]
    return any(getattr(module, "grad_checkpointing", False) for module in tower.modules())


def open_model(name: str, pretrained: str | None) -> LoadedClip:
    """Load a model on the CPU, and try both towers on one image and one prompt.

    Raises:
        UserError: if it can't be loaded, whatever the reason.
    """
    check_model(name, pretrained)
    try:
        with _no_vain_retries(name), _no_log():
            loaded = load_clip(name, pretrained, torch.device("cpu"))
        classifier = Classifier(loaded.clip.visual, zero_shot_head(loaded, ["thing"], ["a {}."]))
        with torch.no_grad():
            classifier(torch.zeros(1, 3, *loaded.image_size))
    except Exception as error:  # open_clip, timm, torch, safetensors and huggingface_hub raise nearly every kind
        raise UserError(_sentence(name, pretrained, error)) from error
    return loaded


@contextmanager
def _no_vain_retries(name: str) -> Iterator[None]:
    """Where the Hugging Face Hub can't be reached, look in its cache alone: it tries for a minute otherwise."""
    offline = constants.HF_HUB_OFFLINE
    if name != EMBEDDED and not name.startswith("local-dir:"):
        constants.HF_HUB_OFFLINE = offline or not _hub_answers()
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = offline


@contextmanager
def _no_log() -> Iterator[None]:
    """Keep what open_clip logs of a failure off the terminal: the sentence says it."""
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(level)


def _hub_answers() -> bool:
    try:
        get_session().head(constants.ENDPOINT, timeout=REACHED_WITHIN)
    except Exception:  # of the HTTP library that huggingface_hub happens to use
        return False
    return True


def _sentence(name: str, pretrained: str | None, error: Exception) -> str:
    is_file = pretrained is not None and Path(pretrained).is_file()
    what = f"model.name: '{name}'" if pretrained is None else f"model.pretrained: '{pretrained}'"
    if pretrained is not None and not is_file:
        what += f" of '{name}'"
    chain = list(causes(error))
    said = "\n".join(f"{[kind.__name__ for kind in type(e).__mro__]} {e}" for e in chain)
    brief = f"{type(chain[-1]).__name__}: {_first_line(chain[-1])}"
    if pretrained is not None and is_file and _is_no_weights(Path(pretrained)):
        return f"{what} is no file of weights; name one that torch.save wrote, or a .safetensors with that ending"
    for pattern, meaning in REASONS:
        if re.search(pattern, said):
            return f"{what} {meaning.format(hub=constants.ENDPOINT, error=brief)}"
    if "Error(s) in loading state_dict" in said:
        brief = _misfit(said)
    if is_file:
        return f"{what} is no checkpoint of '{name}' ({brief}); name the model that it was made with as model.name"
    if name.startswith("local-dir:"):
        return f"{what} can't be loaded ({brief}); mend its open_clip_config.json, or put in the weights that fit it"
    return f"{what} can't be loaded ({brief}); name another one"


def _is_no_weights(path: Path) -> bool:
    """Whether a file can be told, by how it begins, to be none that torch wrote: that is a zip or a pickle."""
    if path.suffix == ".safetensors":
        return False
    try:
        with path.open("rb") as file:
            return not file.read(2).startswith((b"PK", b"\x80"))
    except OSError:
        return False


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, what it came from, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or ["no more is known"])[0].rstrip(".")


def _misfit(said: str) -> str:
    """The first weight that doesn't fit, of torch's list of all."""
    if shapes := re.search(r"size mismatch for (\S+): .*?Size\((.*?)\) from .*? is torch.Size\((.*?)\)", said):
        return f"{shapes[1]} is {shapes[2]} there and {shapes[3]} in the model"
    if missing := re.search(r'Missing key\(s\) in state_dict: "(.*?)"', said):
        return f"{missing[1]} is missing there"
    unexpected = re.search(r'Unexpected key\(s\) in state_dict: "(.*?)"', said)
    return f"{unexpected[1]} is not in the model" if unexpected else "its weights don't fit"
