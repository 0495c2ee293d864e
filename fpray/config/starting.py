"""A sweep file to start from: commented, for the images in a folder, or the embedded example."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import fill
from typing import Any

from fpray.config.text import default_file, inline
from fpray.data import DATASETS, Recognised

SCHEMA = "sweep.schema.json"
"""The schema's file, beside the embedded example's."""
REST = """
# Assumed, as nearly all below: any of open_clip's models and tags, or `drawnet-s`, a small CLIP that fpray ships.
model: {name: ViT-B-16, pretrained: openai}

train:
  epochs: 10
  batch_size: 128  # `auto` takes the largest that fits the GPU
  lr: {log: [1.0e-6, 3.0e-5]}  # searched on a logarithmic scale, unless a method has its own
  warmup_steps: 100  # fewer than a trial has: epochs x training images / batch_size
  precision: bf16  # for GPUs; on CPUs fp32

# Each has a front of its own; more trials find a better one. The same command extends a sweep when this file asks for
# more trials or another method.
methods:
  zero_shot: {}
  linear_probe: {trials: 4, lr: {log: [1.0e-3, 1.0e-1]}}
  full: {trials: 4}
  l2: {trials: 6, strength: {log: [1.0e-4, 2]}}
  kd: {trials: 6, strength: {log: [1.0e-2, 10]}, form: {choice: [kl, mse_features]}}
  lora: {trials: 6, lr: {log: [1.0e-5, 1.0e-3]}}
  wise_ft: {trials: 16, of: [full]}

resources: {gpus: 1, cpus: 4}  # of each trial; gpus: 0 trains on CPUs
"""


def starting_file(found: Recognised, folder: Path, file: Path) -> str:
    """The text of a sweep file for the images in a folder.

    Args:
        found: what was recognised there.
        folder: the folder.
        file: the sweep file that is to be written; the sweep is named after it.
    """
    lines = [
        _schema_line(),
        _comment(f"Written by `fpray init {folder}`, which saw {found.seen}."),
        _comment("What it assumed is in the comments; `fpray schema --markdown` tells of every key."),
        f"#   fpray check {inline(str(file))}",
        f"#   fpray sweep {inline(str(file))}",
        f"name: {inline(name_for(file.stem))}",
        "",
        "data:",
        *_entries(found.options, found.remarks),
        *_shares(str(found.options["layout"])),
    ]
    return "\n".join(lines) + "\n" + REST


def example_file() -> str:
    """The text of the embedded example."""
    first, _, rest = default_file().read_text(encoding="utf-8").partition("\n")
    assert first.endswith(f"={SCHEMA}"), first
    return f"{_schema_line()}\n{rest}"


def name_for(text: str) -> str:
    """A name for a sweep, as like a file's or folder's as it may be."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).lstrip("._-") or "sweep"


def _schema_line() -> str:
    """The line by which an editor finds the schema, wherever the file is written."""
    return f"# yaml-language-server: $schema={(default_file().parent / SCHEMA).as_uri()}"


def _entries(options: Mapping[str, Any], remarks: Mapping[str, str], indent: str = "  ") -> Iterator[str]:
    """A line for each option, and for each below it."""
    for key, value in options.items():
        remark = f"  {_comment(remarks[key], width=10_000)}" if key in remarks else ""
        if isinstance(value, Mapping):
            yield f"{indent}{inline(key)}:{remark}"
            yield from _entries(value, {}, f"{indent}  ")
        else:
            yield f"{indent}{inline(key)}: {inline(value)}{remark}"


def _shares(layout: str) -> Iterator[str]:
    """A line for each share of the images that is set aside, with its default."""
    for key, field in DATASETS[layout].Options.model_fields.items():
        if isinstance(field.default, float):
            yield f"  {key}: {field.default}  {_comment(str(field.description), width=10_000)}"


def _comment(text: str, width: int = 120) -> str:
    """A text as a comment, whatever is in the names that it has."""
    return fill(" ".join(text.split()), width, initial_indent="# ", subsequent_indent="# ")
