"""The JSON schema of the sweep file, by which editors complete and check it: every key with its sentence."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from fpray.config.schema import Sweep
from fpray.data import DATASETS
from fpray.formats import FORMAT
from fpray.methods import METHODS
from fpray.section import Section
from fpray.space import Constant, OneOf, Range

NUMBER = {
    "type": "integer",
    "minimum": 1,
    "maximum": FORMAT,
    "description": "The number of the file's format, which fpray writes into resolved files; leave it out.",
}

MOST_VALUES = 8
"""Of a default that is shown; of a longer one, such as OpenAI's 80 prompts, the key's sentence speaks."""


class _Generator(GenerateJsonSchema):
    """Pydantic's schema, as sweep files are: a section may be empty, and a default stands as YAML has it."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        made = super().model_schema(schema)
        made.pop("title", None)
        if not made.get("required"):
            made["type"] = ["object", "null"]
        return made

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        default = schema.get("default")
        own_defaults = isinstance(default, Section)  # of its keys
        if own_defaults or (isinstance(default, tuple) and len(default) > MOST_VALUES):
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def encode_default(self, dft: Any) -> Any:
        return dft.as_yaml() if isinstance(dft, Constant | Range | OneOf) else super().encode_default(dft)

    def sort(self, value: JsonSchemaValue, parent_key: str | None = None) -> JsonSchemaValue:
        return value  # keys stand in the order of their classes


def sweep_schema() -> JsonSchemaValue:
    """The JSON schema of today's format, with the methods and layouts of fpray and of installed packages.

    The names of a plug-in's methods and layouts aren't known to it: a file with `plugins` may have others, with any
    keys, and a file without may not.
    """
    made = _on_one_line(Sweep.model_json_schema(schema_generator=_Generator))
    properties = {"format": NUMBER} | made["properties"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "fpray's sweep file",
        "description": "What a sweep compares, on which data, and where; every key may be left out.",
        "type": ["object", "null"],
        "properties": properties,
        "additionalProperties": False,
        "if": {"required": ["plugins"]},
        "else": {"properties": _known_names()},
        "$defs": made["$defs"],
    }


def _known_names() -> dict[str, JsonSchemaValue]:
    """What a file without plug-ins may name as methods and as layout."""
    methods, layouts = {"enum": [*METHODS]}, {"enum": [*DATASETS]}
    return {"methods": {"items": methods, "propertyNames": methods}, "data": {"properties": {"layout": layouts}}}


def _on_one_line(schema: Any) -> Any:
    """The schema with its descriptions, which are docstrings, each on one line and cut to its first paragraph."""
    if isinstance(schema, list):
        return [_on_one_line(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    one_line = {key: _on_one_line(part) for key, part in schema.items()}
    if isinstance(text := one_line.get("description"), str):
        one_line["description"] = " ".join(text.partition("\n\n")[0].split())
    return one_line
