"""A part of the sweep file: unknown keys and values of a wrong kind are refused with words that help."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from fpray.section import Section


class Oven(Section):
    degrees: int = 180
    hours: float | None = None
    fan: bool = False
    racks: tuple[int, ...] = (1,)
    labels: Mapping[str, str] = {}


def complaint(written: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        Oven.model_validate(written)
    (error,) = caught.value.errors()
    return str(error["msg"])


def test_values_are_read_and_defaults_filled_in() -> None:
    assert Oven.model_validate({"degrees": 200}) == Oven(degrees=200)
    assert Oven.model_validate({"racks": [1, 3]}).racks == (1, 3)


def test_a_key_with_nothing_below_it_is_the_defaults() -> None:
    assert Oven.model_validate(None) == Oven()


def test_an_unknown_key_names_the_nearest() -> None:
    assert complaint({"degree": 3}) == "Value error, unknown key 'degree'; did you mean 'degrees'?"
    assert complaint({3: 3}).startswith("Value error, unknown key '3'; known are: degrees, fan, hours, ")


@pytest.mark.parametrize(("written", "shown"), [(3, "3"), ("hot", "hot"), (True, "True"), ([1, 2], "...")])
def test_a_value_in_the_place_of_a_section_says_how_to_write_it(written: Any, shown: str) -> None:
    assert complaint(written) == f"Value error, write keys below it, for example {{degrees: {shown}}}"


@pytest.mark.parametrize("written", [{"degrees": True}, {"hours": False}, {"racks": [1, True]}])
def test_true_and_false_are_no_numbers(written: dict[str, Any]) -> None:
    assert complaint(written) == "Value error, takes numbers, not true or false"
    assert Oven.model_validate({"fan": True}).fan


@pytest.mark.parametrize("hours", [float("inf"), float("nan")])
def test_numbers_are_finite(hours: float) -> None:
    assert "finite number" in complaint({"hours": hours})


def test_equal_sections_have_equal_hashes_even_with_a_mapping() -> None:
    first, same, other = (Oven(labels={"a": value}) for value in ("x", "x", "y"))
    assert hash(first) == hash(same) != hash(other)
    assert {first, same, other} == {first, other}


def test_a_section_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Oven().degrees = 3  # type: ignore[misc]
