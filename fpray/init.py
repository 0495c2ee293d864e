"""The command `fpray init`: it writes a sweep file to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fpray.command import told_in_a_sentence
from fpray.errors import UserError, message_of

EXAMPLE = Path("quickstart.yaml")


def init(
    folder: Annotated[Path | None, typer.Argument(help="The images; without it, the embedded example.")] = None,
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write; by default, named after the folder.")
    ] = None,
) -> None:
    """Write a commented sweep file for the images in a folder, whose layout is told from what lies there."""
    with told_in_a_sentence():
        file = _write_example(output or EXAMPLE) if folder is None else _write_for(folder, output)
        print(f"wrote '{file}'; look at it, then run: fpray check '{file}'")


def _write_example(file: Path) -> Path:
    from fpray.config import example_file

    return _write_new(file, example_file())


def _write_for(folder: Path, output: Path | None) -> Path:
    # Imported here since they import torch, and --help must be fast.
    from fpray.config import name_for, starting_file
    from fpray.data import recognise
    from fpray.storage import from_home

    root = Path(from_home(str(folder))).absolute()
    file = output or Path(f"{name_for(root.name)}.yaml")
    return _write_new(file, starting_file(recognise(root), root, file))


def _write_new(file: Path, text: str) -> Path:
    """Write a file that isn't there yet.

    Raises:
        UserError: if it is, or can't be written.
    """
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise UserError(f"'{file}' is there already; name another file by --output, or remove it") from None
    except OSError as error:
        raise UserError(f"can't write '{file}': {message_of(error)}; name another file by --output") from None
    return file
