"""The JSON schema of search dimensions: what a sweep file may say of one hyperparameter."""

from __future__ import annotations

from pydantic.json_schema import JsonSchemaValue

from fpray.section import several
from fpray.space import KINDS

TITLE = "search dimension"
"""By it the page of the sweep file's keys knows a dimension."""


def dimension_schema(value: JsonSchemaValue) -> JsonSchemaValue:
    """A constant or one key with bounds or values; ranges only where the hyperparameter takes numbers.

    Args:
        value: the schema of the values that the hyperparameter may have.
    """
    kind = value.get("type")
    above_0 = value | {"exclusiveMinimum": max(0, value.get("exclusiveMinimum", 0))}
    ranges = {"int": _bounds(value | {"type": "integer"})} if kind in ("number", "integer") else {}
    if kind == "number":
        ranges = {"uniform": _bounds(value), "log": _bounds(above_0)} | ranges
    known = ranges | {"choice": several(value), "grid": several(value)}
    keys = {key: known[key] | {"description": str(KINDS[key].__doc__)} for key in known}
    searched = {"title": TITLE, "type": "object", "properties": keys, "minProperties": 1, "maxProperties": 1}
    return {"anyOf": [value, searched | {"additionalProperties": False}]}


def _bounds(value: JsonSchemaValue) -> JsonSchemaValue:
    return several(value, least=2) | {"maxItems": 2}
