"""The JSON schema of a dimension has the ranges that its values may have."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from fpray.config.dimensions import dimension_schema

NUMBER, WHOLE, WORD = {"type": "number", "minimum": -1}, {"type": "integer"}, {"enum": ["a", "b"]}


@pytest.mark.parametrize(
    ("value", "keys"),
    [
        (NUMBER, ["uniform", "log", "int", "choice", "grid"]),
        (WHOLE, ["int", "choice", "grid"]),
        (WORD, ["choice", "grid"]),
    ],
)
def test_ranges_are_for_numbers(value: dict[str, Any], keys: list[str]) -> None:
    assert list(dimension_schema(value)["anyOf"][1]["properties"]) == keys


def test_bounds_hold_for_each_value() -> None:
    schema = Draft202012Validator(dimension_schema(NUMBER))
    for taken in (-1, 0.5, {"uniform": [-1, 1]}, {"log": [0.1, 1]}, {"int": [0, 2]}, {"choice": [0, 0.5]}):
        assert schema.is_valid(taken), taken
    for refused in (-2, {"uniform": [-2, 1]}, {"log": [0, 1]}, {"int": [0, 0.5]}, {"grid": [-2]}, {}, {"uniform": 1}):
        assert not schema.is_valid(refused), refused
