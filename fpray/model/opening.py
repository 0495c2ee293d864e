"""Opening a model before a sweep starts, with one sentence for each thing that can go wrong."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from huggingface_hub import constants, get_session

from fpray.errors import UserError
from fpray.model.classifier import Classifier, zero_shot_head
from fpray.model.clip import LoadedClip, load_clip
from fpray.model.names import SHIPPED, require_model

REACHED_WITHIN = 5.0
"""Seconds in which the Hugging Face Hub must answer to count as reachable."""

REASONS = (
    # A pattern in the names and messages of the exceptions, and its meaning. The first pattern found counts.
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

NO_CHECKPOINT = "is no checkpoint of '{name}' ({{error}}); name the model that it was made with as model.name"
"""What is said of weights that don't fit, where nothing better is known."""


def open_model(name: str, pretrained: str | None) -> LoadedClip:
    """Load a model on the CPU, and try both towers on one image and one prompt.

    Raises:
        UserError: if it can't be loaded, for any reason.
    """
    require_model(name, pretrained)
    try:
        with _no_vain_retries(name), _no_log():
            loaded = load_clip(name, pretrained, torch.device("cpu"))
        classifier = Classifier(loaded.visual, zero_shot_head(loaded, ["thing"], ["a {}."]))
        with torch.no_grad():
            classifier(torch.zeros(1, 3, *loaded.image_size))
    except Exception as error:  # open_clip, timm, torch, safetensors and huggingface_hub raise nearly every kind
        raise UserError(_sentence(name, pretrained, error)) from error
    return loaded


@contextmanager
def told(what: str, name: str, place: Path) -> Iterator[None]:
    """Turn whatever a checkpoint of a model raises into one sentence.

    Args:
        what: the sweep file's key, and what it says.
        place: the checkpoint's file or folder.

    Raises:
        UserError: if it can't be loaded, for any reason.
    """
    try:
        with _no_log():
            yield
    except Exception as error:  # as above
        file = place if place.is_file() else None
        raise UserError(_reason(what, file, error, NO_CHECKPOINT.format(name=name))) from error


@contextmanager
def _no_vain_retries(name: str) -> Iterator[None]:
    """Look only in the cache of the Hugging Face Hub if the Hub can't be reached: it would try for a minute."""
    offline = constants.HF_HUB_OFFLINE
    if name not in SHIPPED and not name.startswith("local-dir:"):
        constants.HF_HUB_OFFLINE = offline or not _hub_answers()
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = offline


@contextmanager
def _no_log() -> Iterator[None]:
    """Keep open_clip's log of a failure off the terminal: the `UserError` says the same."""
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
    file = Path(pretrained) if pretrained is not None and Path(pretrained).is_file() else None
    what = f"model.name: '{name}'" if pretrained is None else f"model.pretrained: '{pretrained}'"
    if pretrained is not None and file is None:
        what += f" of '{name}'"
    if file is not None:
        return _reason(what, file, error, NO_CHECKPOINT.format(name=name))
    if name.startswith("local-dir:"):
        mend = "mend its open_clip_config.json, or put in the weights that fit it"
        return _reason(what, file, error, f"can't be loaded ({{error}}); {mend}")
    return _reason(what, file, error, "can't be loaded ({error}); name another one")


def _reason(what: str, file: Path | None, error: Exception, otherwise: str) -> str:
    """The sentence for a model, or for a file of its weights.

    Args:
        otherwise: what is said of `what` where nothing better is known.
    """
    chain = list(causes(error))
    messages = "\n".join(f"{[kind.__name__ for kind in type(e).__mro__]} {e}" for e in chain)
    brief = f"{type(chain[-1]).__name__}: {_first_line(chain[-1])}"
    if file is not None and _is_no_weights(file):
        return f"{what} is no file of weights; name one that torch.save wrote, or a .safetensors with that ending"
    for pattern, meaning in REASONS:
        if re.search(pattern, messages):
            return f"{what} {meaning.format(hub=constants.ENDPOINT, error=brief)}"
    if "Error(s) in loading state_dict" in messages:
        brief = _misfit(messages)
    return f"{what} {otherwise.replace('{error}', brief)}"


def _is_no_weights(path: Path) -> bool:
    """Whether torch can't have written a file, judged by its first two bytes: torch writes a zip or a pickle."""
    if path.suffix == ".safetensors":
        return False
    try:
        with path.open("rb") as file:
            return not file.read(2).startswith((b"PK", b"\x80"))
    except OSError:
        return False


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, the error that it came from, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or ["no more is known"])[0].rstrip(".")


def _misfit(messages: str) -> str:
    """The first weight that doesn't fit the model, from torch's list of all."""
    if shapes := re.search(r"size mismatch for (\S+): .*?Size\((.*?)\) from .*? is torch.Size\((.*?)\)", messages):
        return f"{shapes[1]} is {shapes[2]} there and {shapes[3]} in the model"
    if missing := re.search(r'Missing key\(s\) in state_dict: "(.*?)"', messages):
        return f"{missing[1]} is missing there"
    unexpected = re.search(r'Unexpected key\(s\) in state_dict: "(.*?)"', messages)
    return f"{unexpected[1]} is not in the model" if unexpected else "its weights don't fit"
