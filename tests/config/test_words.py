"""The words for what a key may be."""

from __future__ import annotations

from typing import Any

import pytest

from fpray.config.dimensions import dimension_schema
from fpray.config.words import words_for
from fpray.section import one_or_several, several

TEXT = {"type": "string"}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (TEXT, "text"),
        ({"type": "integer", "minimum": 1}, "whole number ≥ 1"),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, "number > 0 and < 1"),
        ({"enum": ["a", "b", "c"]}, "`a`, `b` or `c`"),
        ({"anyOf": [{"const": "auto"}, {"type": "integer"}, {"type": "null"}]}, "`auto`, whole number or `null`"),
        (one_or_several(TEXT), "text or a list of these"),
        (several(TEXT, least=2), "a list of text (2 or more)"),
        ({"type": "array", "prefixItems": [{"type": "number"}, TEXT]}, "[number, text]"),
        ({"type": ["object", "null"], "properties": {"a": TEXT}, "description": "A section."}, "keys or `null`"),
        ({"type": "object", "properties": {"choice": several(TEXT)}}, "`{choice: ...}`"),
        (dimension_schema({"type": "boolean"}), "`true` or `false` or [dimension](#search-dimensions)"),
    ],
)
def test_words_for_each_kind_of_schema(schema: dict[str, Any], words: str) -> None:
    assert words_for(schema) == words
