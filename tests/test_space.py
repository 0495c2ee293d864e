"""Search dimensions: what a sweep file may say, what it may not, and how grids unfold."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter

from fpray.space import Choice, Constant, Dimension, Grid, Int, Log, Uniform, grid_cells, is_finite, parse_dimension

KINDS: list[tuple[Any, Any]] = [
    (8, Constant(8)),
    (1e-4, Constant(1e-4)),
    (True, Constant(True)),
    ("both", Constant("both")),
    ({"uniform": [0, 0.5]}, Uniform(0.0, 0.5)),
    ({"log": [1e-5, 1e-3]}, Log(1e-5, 1e-3)),
    ({"int": [1, 4]}, Int(1, 4)),
    ({"int": [1.0, 4]}, Int(1, 4)),
    ({"choice": [4, 8, "all"]}, Choice((4, 8, "all"))),
    ({"grid": [0.1]}, Grid((0.1,))),
]


@pytest.mark.parametrize(("written", "dimension"), KINDS)
def test_every_kind_is_read_and_written_back(written: Any, dimension: Any) -> None:
    assert parse_dimension(written) == dimension
    assert type(parse_dimension(written)) is type(dimension)
    assert parse_dimension(dimension) is dimension
    assert parse_dimension(dimension.as_yaml()) == dimension
    adapter: TypeAdapter[Any] = TypeAdapter(Dimension)
    assert adapter.validate_python(adapter.dump_python(dimension, mode="json")) == dimension


def test_kinds_with_equal_values_differ() -> None:
    assert Uniform(1.0, 2.0) != Log(1.0, 2.0)
    assert Choice((1, 2)) != Grid((1, 2))


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"gauss": [0, 1]}, ["constant", "{uniform: [...]}", "{log: [...]}", "{int: [...]}", "{grid: [...]}"]),
        ({"log": [1, 2], "grid": [1]}, ["constant or one of"]),
        ({}, ["constant or one of"]),
        ([1, 2], ["constant or one of"]),
        (None, ["constant or one of"]),
        ({"choice": "ab"}, ["'choice' takes a list", "{choice: [1, 2]}"]),
        ({"uniform": 3}, ["'uniform' takes a list"]),
        ({"grid": []}, ["'grid' has no values"]),
        ({"choice": [[1], 2]}, ["'choice'", "numbers and words only"]),
        ({"choice": [None]}, ["'choice'", "numbers and words only"]),
        ({"grid": [2, 1, 2]}, ["'grid' names a value twice"]),
        ({"uniform": [1]}, ["two numbers", "{uniform: [low, high]}"]),
        ({"uniform": [1, 2, 3]}, ["two numbers"]),
        ({"uniform": ["a", 2]}, ["two numbers"]),
        ({"uniform": [False, True]}, ["two numbers"]),
        ({"uniform": [0, float("inf")]}, ["two numbers"]),
        ({"uniform": [float("nan"), 1]}, ["two numbers"]),
        ({"uniform": [1, 1]}, ["'uniform' range [1, 1] is empty", "below"]),
        ({"log": [2, 1]}, ["'log' range [2, 1] is empty"]),
        ({"log": [0, 1]}, ["'log' range [0, 1] touches 0", "above 0"]),
        ({"log": [-1, 1]}, ["touches 0"]),
        ({"int": [1, 2.5]}, ["'int' range [1, 2.5] needs whole numbers"]),
    ],
)
def test_what_is_no_dimension_is_said(written: Any, said: list[str]) -> None:
    with pytest.raises(ValueError) as caught:
        parse_dimension(written)
    assert all(part in str(caught.value) for part in said), caught.value


def test_a_dimension_knows_what_is_in_it() -> None:
    assert 8 in Constant(8) and 9 not in Constant(8)
    assert 1e-5 in Log(1e-5, 1e-3) and 1e-3 in Log(1e-5, 1e-3) and 2e-3 not in Log(1e-5, 1e-3)
    assert "a" not in Uniform(0.0, 1.0)
    assert "a" in Choice(("a", "b")) and "c" not in Choice(("a", "b"))


def test_grids_unfold_with_the_last_fastest() -> None:
    space = {"a": Grid((1, 2)), "b": Uniform(0.0, 1.0), "c": Grid(("x", "y", "z")), "d": Constant(5)}
    assert [(cell["a"], cell["c"]) for cell in grid_cells(space)] == [
        (1, "x"),
        (1, "y"),
        (1, "z"),
        (2, "x"),
        (2, "y"),
        (2, "z"),
    ]
    assert all(cell.keys() == {"a", "c"} for cell in grid_cells(space))
    assert grid_cells({"b": Uniform(0.0, 1.0)}) == [{}]


def test_a_space_is_finite_without_a_sampler() -> None:
    assert is_finite({})
    assert is_finite({"a": Grid((1, 2)), "d": Constant(5)})
    for open_dimension in (Uniform(0.0, 1.0), Log(0.1, 1.0), Int(1, 2), Choice((1, 2))):
        assert not is_finite({"a": Grid((1, 2)), "d": open_dimension})
