"""The settings of methods in a sweep file: how many trials each gets, and what is searched."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    create_model,
    model_serializer,
    model_validator,
)

from fpray.methods import METHODS, Method
from fpray.section import Section
from fpray.space import Constant, Dimension, Int, Range, Space, Values, grid_cells, is_finite


class MethodSettings(Section):
    """How many trials a method gets, and the search dimension of each of its hyperparameters."""

    trials: int = Field(ge=1)

    def space(self) -> Space:
        """The search dimensions by name, in the order of the method's hyperparameters."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: v for name, v in values.items() if isinstance(v, Constant | Range | Values)}

    def sources(self) -> tuple[str, ...]:
        """The methods whose finished trials this one builds on; empty for a method that trains."""
        return getattr(self, "of", ())

    @model_validator(mode="after")
    def _trials_differ(self) -> MethodSettings:
        """As many trials as the grids have cells, where nothing else is searched."""
        if is_finite(self.space()) and not self.sources():
            cells = len(grid_cells(self.space()))
            if "trials" not in self.model_fields_set:
                return self.model_copy(update={"trials": cells})
            if self.trials > cells:
                raise ValueError(f"{self.trials} trials are too many: its grids and constants make only {cells}")
        return self


def _within(method: type[Method], name: str) -> AfterValidator:
    """A check that every value of a dimension is one that the hyperparameter may have."""
    field = method.Params.model_fields[name]
    bounds = [m for m in field.metadata if not isinstance(m, Constant | Range | Values)]
    kind = Annotated[field.annotation, *bounds] if bounds else field.annotation
    adapter = TypeAdapter(kind, config=ConfigDict(strict=True, allow_inf_nan=False))  # strict: true is no 1

    def check(dimension: Constant | Range | Values) -> Constant | Range | Values:
        if isinstance(dimension, Range) and get_args(field.annotation):
            raise ValueError("takes words, so it can't be a range")
        if isinstance(dimension, Range) and not isinstance(dimension, Int) and field.annotation is int:
            raise ValueError("takes whole numbers, so a range must be {int: [low, high]}")
        for value in dimension.extremes():
            try:
                adapter.validate_python(value)
            except ValidationError as error:
                raise ValueError(f"{value!r} is not allowed: {error.errors()[0]['msg'].lower()}") from None
        return dimension

    return AfterValidator(check)


def _list_of_words(written: Any) -> Any:
    return [written] if isinstance(written, str) else written


def _settings_of(method: type[Method]) -> type[MethodSettings]:
    """The model of a method's section: one search dimension for each of its hyperparameters."""
    fields: dict[str, Any] = {"trials": (int, Field(method.default_trials, ge=1))}
    for name, field in method.Params.model_fields.items():
        default = next((m for m in field.metadata if isinstance(m, Constant | Range | Values)), None)
        if default is not None:
            fields[name] = (Annotated[Dimension, _within(method, name)], default)
    if method.builds_on is not None:
        fields["of"] = (
            Annotated[tuple[str, ...], BeforeValidator(_list_of_words)],
            Field(method.builds_on, min_length=1),
        )
    return create_model(f"{method.name} settings", __base__=MethodSettings, **fields)


class _Methods(Section):
    """The `methods` section: the settings of each method that the sweep compares."""

    def chosen(self) -> dict[str, MethodSettings]:
        """Settings by method, in the order of tables."""
        return {name: getattr(self, name) for name in METHODS if getattr(self, name) is not None}

    @model_serializer(mode="wrap")
    def _without_absent(self, serialize: Any) -> dict[str, Any]:
        return {name: settings for name, settings in serialize(self).items() if settings is not None}


Methods = create_model(
    "Methods", __base__=_Methods, **{name: (_settings_of(kind) | None, None) for name, kind in METHODS.items()}
)
