"""Search dimensions: the values that one hyperparameter may have, as a sweep file writes them.

A dimension is a constant (`8`), `{uniform: [a, b]}`, `{log: [a, b]}`, `{int: [a, b]}`, `{choice: [...]}`
(the sampler chooses) or `{grid: [...]}` (every value is tried in turn).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from pydantic import BeforeValidator, InstanceOf, PlainSerializer

Value: TypeAlias = bool | int | float | str
Params: TypeAlias = dict[str, Value]


@dataclass(frozen=True)
class Constant:
    """One value for every trial."""

    value: Value

    def extremes(self) -> Sequence[Value]:
        return (self.value,)

    def at(self, place: float) -> Value:
        return self.value

    def __contains__(self, value: object) -> bool:
        return value == self.value

    def as_yaml(self) -> Any:
        return self.value


@dataclass(frozen=True)
class Range:
    """Real numbers (or whole ones) between two bounds, both included."""

    low: float
    high: float

    def extremes(self) -> Sequence[Value]:
        return (self.low, self.high)

    def at(self, place: float) -> Value:
        """The value at a place in [0, 1) of the range."""
        return self.low + place * (self.high - self.low)

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high

    def as_yaml(self) -> Any:
        return {KEY_OF[type(self)]: [self.low, self.high]}


class Uniform(Range):
    """Uniform on [low, high]."""


class Log(Range):
    """Log-uniform on [low, high], 0 < low."""

    def at(self, place: float) -> Value:
        return min(self.high, self.low * math.exp(place * math.log(self.high / self.low)))


class Int(Range):
    """A whole number, uniform on [low, high]."""

    def at(self, place: float) -> Value:
        return int(self.low + place * (self.high - self.low + 1))


@dataclass(frozen=True)
class OneOf:
    """One of a list of values."""

    values: tuple[Value, ...]

    def extremes(self) -> Sequence[Value]:
        return self.values

    def at(self, place: float) -> Value:
        """The value at a place in [0, 1) of the list."""
        return self.values[int(place * len(self.values))]

    def __contains__(self, value: object) -> bool:
        return value in self.values

    def as_yaml(self) -> Any:
        return {KEY_OF[type(self)]: list(self.values)}


class Choice(OneOf):
    """A list of values from which the sampler chooses."""


class Grid(OneOf):
    """A list of values that are tried in turn: trial n gets the n-th cell of all grids of its method."""


@dataclass(frozen=True)
class IfGiven:
    """The default of a hyperparameter that has no dimension, unless a sweep file gives it one."""

    in_place_of: str | None = None
    """The hyperparameter that has none then."""


@dataclass(frozen=True)
class Asked:
    """No default: a sweep file that names the method must say it."""


@dataclass(frozen=True)
class ByValue:
    """The default of a hyperparameter whose dimension depends on the value of another one."""

    other: str
    dimensions: Mapping[Value, Range]


KINDS: dict[str, type[Range] | type[OneOf]] = {
    "uniform": Uniform,
    "log": Log,
    "int": Int,
    "choice": Choice,
    "grid": Grid,
}
KEY_OF = {kind: key for key, kind in KINDS.items()}


def parse_dimension(written: Any) -> Constant | Range | OneOf:
    """Read a dimension as it stands in a sweep file.

    Raises:
        ValueError: for an unknown kind, an empty range or a log range that touches 0; its message says what to change.
    """
    if isinstance(written, Constant | Range | OneOf):
        return written
    if isinstance(written, bool | int | float | str):
        return Constant(written)
    if not isinstance(written, Mapping) or len(written) != 1 or next(iter(written)) not in KINDS:
        raise ValueError(f"must be a constant or one of {', '.join(f'{{{k}: [...]}}' for k in KINDS)}")
    (key, bounds), kind = next(iter(written.items())), KINDS[next(iter(written))]
    if not isinstance(bounds, Sequence) or isinstance(bounds, str):
        raise ValueError(f"'{key}' takes a list, for example {{{key}: [1, 2]}}")
    if issubclass(kind, OneOf):
        return _parse_one_of(key, kind, bounds)
    return _parse_range(key, kind, bounds)


def _parse_one_of(key: str, kind: type[OneOf], values: Sequence[Any]) -> OneOf:
    if not values:
        raise ValueError(f"'{key}' has no values: give at least one")
    if not all(isinstance(v, bool | int | float | str) for v in values):
        raise ValueError(f"'{key}' takes numbers and words only")
    if len(set(values)) < len(values):
        raise ValueError(f"'{key}' names a value twice")
    return kind(tuple(values))


def _parse_range(key: str, kind: type[Range], bounds: Sequence[Any]) -> Range:
    numbers = [b for b in bounds if isinstance(b, int | float) and not isinstance(b, bool) and math.isfinite(b)]
    if len(bounds) != 2 or len(numbers) != 2:
        raise ValueError(f"'{key}' takes two numbers, {{{key}: [low, high]}}")
    low, high = numbers
    if low >= high:
        raise ValueError(f"'{key}' range [{low}, {high}] is empty: the first bound must be below the second")
    if kind is Log and low <= 0:
        raise ValueError(f"'log' range [{low}, {high}] touches 0: the first bound must be above 0")
    if kind is Int and not (float(low).is_integer() and float(high).is_integer()):
        raise ValueError(f"'int' range [{low}, {high}] needs whole numbers")
    return kind(int(low), int(high)) if kind is Int else kind(float(low), float(high))


Dimension = Annotated[
    InstanceOf[Constant] | InstanceOf[Range] | InstanceOf[OneOf],
    BeforeValidator(parse_dimension),
    PlainSerializer(lambda dimension: dimension.as_yaml()),
]
Space: TypeAlias = dict[str, Constant | Range | OneOf]


def grid_cells(space: Space) -> list[Params]:
    """Every combination of the values of the grids, the last grid varying fastest; `[{}]` without grids."""
    cells: list[Params] = [{}]
    for name, dimension in space.items():
        if isinstance(dimension, Grid):
            cells = [cell | {name: value} for cell in cells for value in dimension.values]
    return cells


def is_finite(space: Space) -> bool:
    """Whether a space has only constants and grids, so that nothing is left to a sampler."""
    return all(isinstance(dimension, Constant | Grid) for dimension in space.values())
