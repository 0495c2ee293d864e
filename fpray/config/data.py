"""The `data` section: the options of the layout that it names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, GetJsonSchemaHandler, SerializeAsAny
from pydantic.json_schema import JsonSchemaValue

from fpray.data import DATASETS, DataOptions
from fpray.errors import did_you_mean

DEFAULT: str = DataOptions.model_fields["layout"].default
"""The layout of a section that names none."""


def _read_data(written: Any) -> Any:
    """The options of the layout that the section names."""
    written = {} if written is None else written
    if not isinstance(written, Mapping):
        return written
    name = written.get("layout", DEFAULT)
    if not isinstance(name, str) or name not in DATASETS:
        raise ValueError(f"unknown layout '{name}'; {did_you_mean(str(name), DATASETS)}")
    if "layout" not in written:
        fitting = [n for n, kind in DATASETS.items() if written.keys() <= kind.Options.model_fields.keys()]
        if fitting and name not in fitting:
            raise ValueError(f"has the keys of another layout than '{name}'; add layout: {' or '.join(fitting)}")
    return DATASETS[name].Options.model_validate(written)


def with_todays_keys(written: Any) -> Any:
    """A resolved section with the keys that its layout got since; the default of such a key is what was so before."""
    try:
        return _read_data(written).model_dump(mode="json")
    except ValueError:  # pydantic's too: what is wrong is found by comparison
        return written


class _OfEveryLayout:
    """The JSON schema of the section: the options of one layout, told apart by its name.

    A plug-in's layout is one with another name; `sweep_schema` refuses it in a file that names no plug-in.
    """

    def __get_pydantic_json_schema__(self, _: Any, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        options = {name: handler(kind.Options.__pydantic_core_schema__) for name, kind in DATASETS.items()}
        known = [_named(name, handler.resolve_ref_schema(schema)) for name, schema in options.items()]
        layout = {"type": "string", "not": {"enum": [*DATASETS]}, "description": "The layout of a plug-in."}
        other = {"title": "plug-in's layout", "type": "object", "properties": {"layout": layout}}
        return {"oneOf": [*known, other | {"required": ["layout"]}]}


def _named(name: str, options: JsonSchemaValue) -> JsonSchemaValue:
    """A layout's options, which must name it unless it is the default."""
    layout = {"const": name, "description": DataOptions.model_fields["layout"].description}
    named = options | {"properties": {"layout": layout} | _without_layout(options)}
    return named if name == DEFAULT else named | {"required": ["layout", *options.get("required", [])]}


def _without_layout(options: JsonSchemaValue) -> JsonSchemaValue:
    return {key: schema for key, schema in options["properties"].items() if key != "layout"}


Data = Annotated[SerializeAsAny[DataOptions], BeforeValidator(_read_data), _OfEveryLayout()]
"""The `data` section: each layout has options of its own."""
