"""A part of the sweep file: a pydantic model whose unknown keys are an error that names the nearest right one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, TypeAlias, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue

from fpray.errors import did_you_mean


class Section(BaseModel):
    """Base of everything that a user may write in a sweep file; the docstring below a key is what is said of it."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

    def __hash__(self) -> int:
        return hash(self.model_dump_json())  # pydantic's own can't hash a mapping

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, written: Any) -> Any:
        if written is None:
            return {}  # a key with nothing below it: the defaults
        if isinstance(written, bool | int | float | str | list):
            value = "..." if isinstance(written, list) else written
            raise ValueError(f"write keys below it, for example {{{next(iter(cls.model_fields))}: {value}}}")
        if isinstance(written, Mapping):
            for key in written:
                if key not in cls.model_fields:
                    raise ValueError(f"unknown key '{key}'; {did_you_mean(str(key), cls.model_fields)}")
        return written

    @field_validator("*", mode="before")
    @classmethod
    def _no_bool_for_a_number(cls, written: Any, info: ValidationInfo) -> Any:
        """Refuse `true` and `false` as numbers, which pydantic would read as 1 and 0."""
        kinds = set(_parts(cls.model_fields[str(info.field_name)].annotation))
        values = written if isinstance(written, list | tuple) else [written]
        if kinds & {int, float} and bool not in kinds and any(isinstance(value, bool) for value in values):
            raise ValueError("takes numbers, not true or false")
        return written


def _parts(annotation: Any) -> Iterator[Any]:
    """A type and, if it is generic or a union, the types in it."""
    yield annotation
    for part in get_args(annotation):
        yield from _parts(part)


def _one_or_more(written: Any) -> Any:
    seeds = tuple(written) if isinstance(written, Sequence) and not isinstance(written, str) else (written,)
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError("give one seed or more, each once")
    return seeds


def several(value: JsonSchemaValue, least: int = 1) -> JsonSchemaValue:
    """The JSON schema of a list of different values."""
    return {"type": "array", "items": value, "minItems": least, "uniqueItems": True}


def one_or_several(value: JsonSchemaValue) -> JsonSchemaValue:
    """The JSON schema of one value or a list of different ones."""
    return {"anyOf": [value, several(value)]}


Seed = Annotated[int, Field(ge=0, lt=2**32)]
Seeds: TypeAlias = Annotated[
    tuple[Seed, ...],
    BeforeValidator(_one_or_more),
    WithJsonSchema(one_or_several({"type": "integer", "minimum": 0, "exclusiveMaximum": 2**32})),
]
"""One seed or several, each once."""
