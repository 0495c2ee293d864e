"""Words for a JSON schema: what a reader is told that a key may be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic.json_schema import JsonSchemaValue

from fpray.config.dimensions import TITLE
from fpray.config.text import inline

KINDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
    "null": "`null`",
    "object": "keys",
}
BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def words_for(schema: JsonSchemaValue) -> str:
    """What a value may be, in Markdown; dimensions are a link to the page's section about them."""
    *most, last = dict.fromkeys(_alternatives(schema))
    return f"{', '.join(most)} or {last}" if most else last


def _alternatives(schema: JsonSchemaValue) -> list[str]:
    if schema.get("title") == TITLE:
        return ["[dimension](#search-dimensions)"]
    if "oneOf" in schema:
        return [KINDS["object"]]
    if "anyOf" in schema:
        return _any_of(schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return [f"`{inline(value)}`" for value in schema.get("enum", [schema.get("const")])]
    if schema["type"] == "array":
        return [_list(schema)]
    if schema["type"] == "object" and "properties" in schema and "description" not in schema:
        return [f"`{{{', '.join(f'{key}: ...' for key in schema['properties'])}}}`"]
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return [KINDS[kind] + _bounds(schema) for kind in kinds]


def _any_of(schemas: Sequence[Any]) -> list[str]:
    """The words for several; a list of what another of them is, is a list of these."""
    found: list[str] = []
    for schema in schemas:
        of_them = schema.get("type") == "array" and schema.get("items") in schemas
        found += ["a list of these"] if of_them else _alternatives(schema)
    return found


def _list(schema: JsonSchemaValue) -> str:
    if "prefixItems" in schema:
        return f"[{', '.join(map(words_for, schema['prefixItems']))}]"
    least = f" ({schema['minItems']} or more)" if schema.get("minItems", 1) > 1 else ""
    return f"a list of {words_for(schema['items'])}{least}"


def _bounds(schema: JsonSchemaValue) -> str:
    bounds = [f" {sign} {schema[bound]}" for bound, sign in BOUNDS.items() if bound in schema]
    return " and".join(bounds)
