"""The settings of methods in a sweep file: how many trials each gets, and what is searched."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import NoneType
from typing import Annotated, Any, ClassVar, TypeAlias, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    SerializeAsAny,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    create_model,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue

from fpray.config.dimensions import dimension_schema
from fpray.config.resources import Needs
from fpray.errors import did_you_mean
from fpray.methods import LISTS, METHODS, Method, Takes
from fpray.section import Section
from fpray.space import Asked, ByValue, Constant, Dimension, IfGiven, Int, OneOf, Range, Space, grid_cells, is_finite

Default: TypeAlias = Constant | Range | OneOf | IfGiven | ByValue | Asked
"""What a method may say of a hyperparameter's dimension."""
DEFAULTS = get_args(Default)


class MethodSettings(Section):
    """The settings of one method: its number of trials, and the search dimension of each of its hyperparameters."""

    trials: int = Field(ge=1)
    """The number of its trials; where nothing but grids is searched, as many as the grids have cells."""
    resources: Annotated[Needs, PlainSerializer(lambda needs: needs.model_dump(exclude_unset=True))] | None = None
    """Those needs of its trials that differ from the sweep's; null for none."""
    takes: ClassVar[Takes] = "one"
    """As the method has it."""
    defaults: ClassVar[Mapping[str, Default]] = {}
    """What the method says of each hyperparameter's dimension."""

    def space(self) -> Space:
        """The search dimensions by name, in the order of the method's hyperparameters."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: v for name, v in values.items() if isinstance(v, Constant | Range | OneOf)}

    def sources(self) -> tuple[str, ...]:
        """The methods whose finished trials this one builds on; empty for a method that trains."""
        return getattr(self, "of", ())

    @model_validator(mode="after")
    def _in_place_of_others(self) -> MethodSettings:
        """Without the default dimensions that others take the place of."""
        left_out: dict[str, None] = {}
        for name, default in self.defaults.items():
            if not isinstance(default, IfGiven) or default.in_place_of is None:
                continue
            given, other = getattr(self, name) is not None, default.in_place_of
            if given and other in self.model_fields_set and getattr(self, other) is not None:
                raise ValueError(f"'{name}' takes the place of '{other}'; leave one of them out")
            if not given and getattr(self, other) is None:
                raise ValueError(f"'{other}' is null; give it, or '{name}' in its place")
            left_out |= {other: None} if given else {}
        return self.model_copy(update=left_out)

    @model_validator(mode="after")
    def _by_value_of_others(self) -> MethodSettings:
        """With the dimensions that follow from what others are."""
        follow: dict[str, Range] = {}
        for name, default in self.defaults.items():
            if isinstance(default, ByValue) and getattr(self, name) is None:
                value = getattr(self, default.other)
                if not isinstance(value, Constant):
                    raise ValueError(
                        f"'{name}' has a default for each value of '{default.other}', which is searched; "
                        "give it a range"
                    )
                follow[name] = default.dimensions[value.value]
        return self.model_copy(update=follow)

    @model_validator(mode="after")
    def _trials_differ(self) -> MethodSettings:
        """As many trials as the grids have cells, where nothing else is searched."""
        if is_finite(self.space()) and (not self.sources() or self.takes == "all"):
            cells = len(grid_cells(self.space()))
            if "trials" not in self.model_fields_set:
                return self.model_copy(update={"trials": cells})
            if self.trials > cells:
                raise ValueError(f"{self.trials} trials are too many: its grids and constants make only {cells}")
        return self


def _kind_of(field: FieldInfo) -> Any:
    """A hyperparameter's type: that of its values where it has any."""
    kinds = [kind for kind in get_args(field.annotation) if kind is not NoneType]
    return kinds[0] if _may_be_none(field) and len(kinds) == 1 else field.annotation


def _may_be_none(field: FieldInfo) -> bool:
    return NoneType in get_args(field.annotation)


def _values_of(field: FieldInfo) -> TypeAdapter[Any]:
    """Validates the values that a hyperparameter may have."""
    bounds = [m for m in field.metadata if not isinstance(m, DEFAULTS)]
    kind: Any = Annotated[_kind_of(field), *bounds] if bounds else _kind_of(field)
    return TypeAdapter(kind, config=ConfigDict(strict=True, allow_inf_nan=False))  # strict: true is no 1


def within(field: FieldInfo) -> AfterValidator:
    """A check that every value of a dimension is one that the hyperparameter may have."""
    adapter = _values_of(field)

    def check(dimension: Constant | Range | OneOf) -> Constant | Range | OneOf:
        if isinstance(dimension, Range) and get_args(_kind_of(field)):
            raise ValueError("takes words, so it can't be a range")
        if isinstance(dimension, Range) and not isinstance(dimension, Int) and _kind_of(field) is int:
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


SOURCES = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
SOURCES_SENTENCE = "The methods of this sweep whose finished trials it builds on."
RESERVED = {"method", "model", "of", "resources", "seed", "source", "trials"}
"""The names that sweep files, records and MLflow use for something else than a hyperparameter."""


class _Described:
    """The JSON schema of a hyperparameter's dimension, made when it is asked for: a plug-in's type may have none."""

    def __init__(self, field: FieldInfo) -> None:
        self.field = field

    def __get_pydantic_json_schema__(self, _: Any, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return dimension_schema(_values_of(self.field).json_schema())


@cache
def settings_of(method: type[Method[Any]]) -> type[MethodSettings]:
    """The class of a method's settings: a `MethodSettings` with a search dimension per hyperparameter."""
    sentence = MethodSettings.model_fields["trials"].description
    fields: dict[str, Any] = {"trials": (int, Field(method.default_trials, ge=1, description=sentence))}
    defaults = {}
    for name, field in method.Params.model_fields.items():
        if name in RESERVED or name in dir(MethodSettings):
            raise ValueError(f"the method '{method.name}' can't call a hyperparameter '{name}'; give it another name")
        default = next((m for m in field.metadata if isinstance(m, DEFAULTS)), None)
        if default is not None:
            defaults[name] = default
            fields[name] = _dimension_field(field, default)
        elif field.is_required():
            raise ValueError(
                f"the hyperparameter '{name}' of the method '{method.name}' has neither a search dimension nor a "
                "default; annotate it with one, like Annotated[float, Log(0.1, 10.0)]"
            )
    if method.builds_on is not None:
        fields["of"] = (
            Annotated[tuple[str, ...], BeforeValidator(_list_of_words), WithJsonSchema(SOURCES)],
            Field(method.builds_on, min_length=1, description=SOURCES_SENTENCE),
        )
    made = create_model(f"{method.name} settings", __base__=MethodSettings, __doc__=method.__doc__, **fields)
    made.defaults, made.takes = defaults, method.takes
    return made


def _dimension_field(field: FieldInfo, default: Default) -> tuple[Any, Any]:
    """The type and the default of a hyperparameter's dimension."""
    kind: Any = Annotated[Dimension, within(field), _Described(field)]
    if isinstance(default, Asked):
        return kind, Field(description=field.description)
    depends = isinstance(default, IfGiven | ByValue)
    if depends or _may_be_none(field):
        kind = kind | None
    return kind, Field(None if depends else default, description=field.description)


def asks(method: type[Method[Any]]) -> bool:
    """Whether a sweep file that names the method must say more of it."""
    return any(field.is_required() for field in settings_of(method).model_fields.values())


def listed(written: Any, *, seeds: int, replaying: bool) -> Any:
    """The names that a word stands for; anything else as it is.

    Args:
        seeds: the number of `train.seeds`: `all` is without what takes pairs of them where there is one.
        replaying: whether the data has images to replay; where it has none, `all` is without what needs them.
    """
    if written == "all":
        return [name for name, own in METHODS.items() if not asks(own) and _is_served(own, seeds, replaying)]
    return list(LISTS[written]) if isinstance(written, str) and written in LISTS else written


def _is_served(method: type[Method[Any]], seeds: int, replaying: bool) -> bool:
    """Whether there is what a method needs with its usual search dimensions."""
    needs_images = method.replays(settings_of(method).model_validate({}).space()) is not None
    return (seeds > 1 or method.takes != "pair") and (replaying or not needs_images)


@cache
def _reader_of(method: type[Method[Any]]) -> TypeAdapter[Any]:
    """Reads a method's section, {name: settings}: with the name above, a mistake in the settings says where it is."""
    settings: Any = settings_of(method)
    return TypeAdapter(dict[str, settings])


def _read_methods(written: Mapping[str, Any]) -> dict[str, MethodSettings]:
    """The settings of each method that the sweep compares, in the order of tables."""
    for name in written:
        if name not in METHODS:
            raise ValueError(f"unknown key '{name}'; {did_you_mean(str(name), METHODS)}")
    read: dict[str, MethodSettings] = {}
    for name, method in METHODS.items():
        if name in written:
            read |= _reader_of(method).validate_python({name: written[name]})
    return read


class _OfEveryMethod:
    """The JSON schema of the section: names alone, or the settings of each method.

    A plug-in's method is one with another name; `sweep_schema` refuses it in a file that names no plug-in.
    """

    def __get_pydantic_json_schema__(self, _: Any, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        known = {name: handler(settings_of(method).__pydantic_core_schema__) for name, method in METHODS.items()}
        other = {"title": "plug-in's method", "type": ["object", "null"]}
        settings = {"type": ["object", "null"], "properties": known, "additionalProperties": other}
        names = {"type": "array", "items": {"type": "string"}}
        return {"anyOf": [settings, names, {"enum": ["all", *LISTS]}]}


Methods: TypeAlias = Annotated[
    Mapping[str, SerializeAsAny[MethodSettings]], BeforeValidator(_read_methods), _OfEveryMethod()
]
"""The `methods` section."""
