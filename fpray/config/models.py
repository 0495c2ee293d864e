"""The `model` section: which pre-trained CLIP a sweep starts from, or which ones it compares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import InstanceOf, PlainSerializer, PlainValidator, ValidationInfo, WithJsonSchema, field_validator

from fpray.model import LOCAL, Model
from fpray.section import Section, several
from fpray.space import Choice, parse_dimension
from fpray.storage import from_home


def _read_names(written: Any) -> str | tuple[str, ...] | Choice:
    if isinstance(written, str):
        return _there(written)
    read = parse_dimension(written) if isinstance(written, Mapping) and list(written) == ["choice"] else written
    names = read.values if isinstance(read, Choice) else read
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise ValueError("must be a model's name, a list of names, or {choice: [NAME, NAME]}")
    if not names:
        raise ValueError("the list is empty: name one model or more")
    names = tuple(map(_there, names))
    shorts = [Model(name=name).short for name in names]
    for short in shorts:
        if shorts.count(short) > 1:
            raise ValueError(f"'{short}' is there twice, and trials tell models apart by it; take one of the two out")
    return Choice(names) if isinstance(read, Choice) else names


def _there(name: str) -> str:
    """The name of a model; of one in a folder, with the home folder written out."""
    if not name.startswith(LOCAL):
        return name
    return LOCAL + from_home(name.removeprefix(LOCAL))


def _written(names: str | tuple[str, ...] | Choice) -> Any:
    return names.as_yaml() if isinstance(names, Choice) else names


NAME = {"type": "string"}
CHOICE = {"choice": several(NAME) | {"description": Choice.__doc__}}
NAMES = {
    "anyOf": [
        NAME,
        several(NAME),
        {"type": "object", "properties": CHOICE, "required": ["choice"], "additionalProperties": False},
    ]
}
"""The JSON schema of what `_read_names` takes."""
Names = Annotated[
    str | tuple[str, ...] | InstanceOf[Choice],
    PlainValidator(_read_names),
    PlainSerializer(_written),
    WithJsonSchema(NAMES),
]


class Models(Section):
    """The pre-trained models: one by its name, a list to compare, or `{choice: [...]}` to search among."""

    name: Names = Model().name
    """A model of open_clip, `hf-hub:REPOSITORY`, `local-dir:FOLDER`, or `drawnet-s` or `drawnet-m`, which fpray ships
    for DrawNet."""
    pretrained: str | None | tuple[str | None, ...] = None
    """The weights: open_clip's tag or a file, one for all models or one for each; null for models that have but one."""

    @field_validator("pretrained", mode="before")
    @classmethod
    def _one_for_all_or_each(cls, written: Any, info: ValidationInfo) -> Any:
        if written is None:
            return None
        if isinstance(written, str):
            return from_home(written)
        if not isinstance(written, Sequence) or not all(tag is None or isinstance(tag, str) for tag in written):
            raise ValueError("must be a tag, or a list with one for each model")
        names = _all(info.data["name"]) if "name" in info.data else written
        if len(names) != len(written):
            raise ValueError(f"gives {len(written)} for {len(names)} model(s); give one for all, or one for each")
        return tuple(tag and from_home(tag) for tag in written)

    @property
    def compared(self) -> bool:
        """Whether the sweep may have several models, so that tables and names must tell which."""
        return not isinstance(self.name, str)

    @property
    def searched(self) -> bool:
        """Whether each method's search chooses among several models."""
        return isinstance(self.name, Choice)

    def each(self) -> tuple[Model, ...]:
        """Every model, in the order of the sweep file."""
        names = _all(self.name)
        tags = self.pretrained if isinstance(self.pretrained, tuple) else [self.pretrained] * len(names)
        return tuple(Model(name=name, pretrained=tag) for name, tag in zip(names, tags, strict=True))

    def apart(self) -> dict[str | None, tuple[Model, ...]]:
        """The models that get fronts of their own: each of a list, by its short name; else all together, by None."""
        if isinstance(self.name, tuple):
            return {model.short: (model,) for model in self.each()}
        return {None: self.each()}


def _all(names: str | tuple[str, ...] | Choice) -> tuple[str, ...]:
    if isinstance(names, Choice):
        return tuple(map(str, names.values))
    return names if isinstance(names, tuple) else (names,)
