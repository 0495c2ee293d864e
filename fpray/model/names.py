"""The names of pre-trained models in a sweep file, checked without loading a model."""

from __future__ import annotations

import json
import re
from pathlib import Path

from fpray.errors import UserError, did_you_mean
from fpray.section import Section

SHIPPED = {"drawnet-s": "s", "drawnet-m": "m"}
"""The small CLIPs that fpray ships, pre-trained on DrawNet (`python -m fpray.drawnet.pretrain`), and their folders."""
SHIPPED_BEFORE = "embedded"
"""The one that an earlier fpray shipped."""

HUB, LOCAL = "hf-hub:", "local-dir:"
"""The starts of names that are not in open_clip's list: a repository of the Hugging Face Hub, and a folder."""


class Model(Section):
    """One pre-trained CLIP: an open_clip architecture and weights, `local-dir:PATH`, or one that fpray ships."""

    name: str = "drawnet-s"
    pretrained: str | None = None

    @property
    def short(self) -> str:
        """The last part of the name, as it is used in the names of trials and files."""
        return re.sub(r"[^A-Za-z0-9._-]", "_", self.name.rpartition(":")[2].rstrip("/").rpartition("/")[2])


def require_model(name: str, pretrained: str | None) -> None:
    """Require that a model exists, without loading it (`fpray.model.opening` loads it).

    Raises:
        UserError: for an unknown architecture or pretrained tag, or a folder that is missing or has no good config.
    """
    if name == SHIPPED_BEFORE:
        raise UserError(
            f"model.name: '{name}' was the small CLIP of an earlier fpray; a sweep of it can be looked at, but doesn't "
            f"go on: take {' or '.join(SHIPPED)}, and another name for the sweep"
        )
    if name in SHIPPED or name.startswith((HUB, LOCAL)):
        if pretrained is not None:
            raise UserError(f"model.pretrained: '{name}' has weights of its own; leave '{pretrained}' out")
        if name.startswith(LOCAL):
            _require_config(Path(name.removeprefix(LOCAL)))
        return
    import open_clip  # here, since it imports torch, which records must not need

    if name not in open_clip.list_models():
        raise UserError(f"model.name: unknown model '{name}'; {_name_hint(name)}")
    tags = open_clip.list_pretrained_tags_by_model(name)
    example = f"for example '{tags[0]}'" if tags else "a checkpoint file, for no published ones are known"
    if pretrained is None:
        raise UserError(f"model.pretrained: say which weights of '{name}' to start from, {example}")
    if pretrained not in tags and not Path(pretrained).is_file():
        if "/" in pretrained or "." in pretrained:  # no tag has one
            raise UserError(f"model.pretrained: no such file: '{pretrained}'; name one that is there, or a tag")
        hint = did_you_mean(pretrained, tags) if tags else "open_clip knows no tag of it"
        raise UserError(f"model.pretrained: '{pretrained}' is neither a file nor a tag of '{name}'; {hint}")


def _name_hint(name: str) -> str:
    """A hint for an unknown model name."""
    import open_clip

    known = [*SHIPPED, *open_clip.list_models()]
    if ":" in name:
        return f"a name with a colon begins with '{HUB}' or '{LOCAL}'"
    if name.startswith(("/", ".", "~")) or Path(name).is_dir():
        return f"for a model in a folder write '{LOCAL}{name}'"
    if "/" in name and name.replace("/", "-") not in known:  # OpenAI's own names are ViT-B/32 and the like
        return f"for a repository of the Hugging Face Hub write '{HUB}{name}'"
    return did_you_mean(name, known)


def _require_config(folder: Path) -> None:
    path = folder / "open_clip_config.json"
    if not path.is_file():
        raise UserError(f"model.name: no open_clip_config.json in '{folder}'; 'local-dir:' needs that folder")
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
    except PermissionError:
        raise UserError(f"model.name: you may not read '{path}'; change its permissions") from None
    except ValueError as error:
        raise UserError(f"model.name: '{path}' is not JSON ({error}); write it as open_clip does") from None
    model = written.get("model_cfg") if isinstance(written, dict) else None
    parts = model if isinstance(model, dict) else {}
    for key in ("embed_dim", "vision_cfg", "text_cfg"):
        if key not in parts:
            raise UserError(f"model.name: '{path}' has no model_cfg.{key}; write it as open_clip does")
