"""The types of the paths in a sweep file's `data` section."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from fpray.section import one_or_several
from fpray.storage import from_home


def _home_expanded(path: str) -> str:
    if "\0" in path:
        raise ValueError("has a NUL character in it; remove that")
    return from_home(path)


def _absolute(root: str) -> str:
    return str(Path(root).absolute())


def _listed(written: Any) -> Any:
    return [written] if isinstance(written, str) else written


def _names_apart(folders: tuple[str, ...]) -> tuple[str, ...]:
    names = [Path(folder).name for folder in folders]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two folders are called '{name}', as results are named; rename one")
    return folders


Folder = Annotated[str, Field(min_length=1), AfterValidator(_home_expanded)]
"""A folder's path, with a `~` at its start expanded to the home folder."""
Root = Annotated[Folder, AfterValidator(_absolute)]
"""The path of the dataset's folder, made absolute: workers may run in another folder than the command."""
PRETRAINING = "pretraining"
"""Stands for the images that the model was pre-trained on, where the layout has them."""
Source = Annotated[Folder, AfterValidator(lambda path: path if path == PRETRAINING else _absolute(path))]
"""A path, made absolute as a `Root`, or the word `pretraining`."""
Roots = Annotated[
    tuple[Root, ...],
    BeforeValidator(_listed),
    AfterValidator(_names_apart),
    WithJsonSchema(one_or_several({"type": "string", "minLength": 1})),
]
"""Several such folders, whose own names differ; one may stand alone."""
