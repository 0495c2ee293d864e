"""The arguments of commands on a sweep file: the file, and overrides as people type them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fpray.errors import UserError, did_you_mean

OVERRIDES: dict[str, Any] = {"ignore_unknown_options": True}
"""Settings of a command that takes overrides: what looks like an option and is none is refused with a hint."""


def file_and_overrides(
    arguments: Sequence[str], set_: Sequence[str], options: Sequence[str]
) -> tuple[Path | None, list[str]]:
    """The sweep file among a command's arguments, and the overrides, each as `key=value`.

    Args:
        arguments: `FILE`, which may be left out, and `key=value` each, as Hydra has it.
        set_: the values of `--set`.
        options: the command's own, for hints.

    Raises:
        UserError: for an unknown option, a second file, or an argument that is neither.
    """
    files, overrides = list[str](), list[str]()
    for argument in arguments:
        if argument.startswith("-"):
            raise UserError(_no_option(argument, options))
        (overrides if "=" in argument and not Path(argument).is_file() else files).append(argument)
    if len(files) > 1:
        raise UserError(f"'{files[1]}' is one file too many; an override is written key=value, as train.epochs=4")
    return (Path(files[0]) if files else None), [*set_, *overrides]


def _no_option(argument: str, options: Sequence[str]) -> str:
    key, separator, value = argument.lstrip("-").partition("=")
    if "." in key:
        return f"there is no option '--{key}'; an override is written {key}={value if separator else 'VALUE'}"
    return f"there is no option '--{key}'; {did_you_mean(f'--{key}', options)}"
