"""The command `fpray schema`: every key of the sweep file, for editors or for readers."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from fpray.command import told_in_a_sentence


def schema(
    *, markdown: Annotated[bool, typer.Option("--markdown", help="Print the page docs/sweep-file.md instead.")] = False
) -> None:
    """Print the JSON schema of the sweep file, by which editors complete and check it."""
    with told_in_a_sentence():
        # Imported here since they import torch, and --help must be fast.
        from fpray.config import sweep_page, sweep_schema

        print(sweep_page() if markdown else json.dumps(sweep_schema(), indent=2))
