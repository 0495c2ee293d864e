"""The defaults of the sweep file's keys, which a folder keeps from its first start on.

A newer fpray may have others. A sweep that goes on keeps those that it was started with, since its trials are compared
with each other; new folders get the new ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from fpray.config.methods import asks, settings_of
from fpray.config.schema import Sweep
from fpray.data import DATASETS
from fpray.methods import METHODS
from fpray.space import Constant, OneOf, Range

SECTIONS = ("model", "train", "search", "report", "resources")
Plain = dict[str, Any]


BEFORE: Plain = {
    "search.startup": 0,
    "methods.l1.weight_decay": None,
    "methods.l2.weight_decay": None,
    "methods.linear_probe.weight_decay": None,
    "methods.lora.head_weight_decay": None,
}
"""What was so, as a key's value now says it, before there was the key: `train.weight_decay` was every method's."""


def todays_defaults() -> Plain:
    """Today's default of every key that has one, by its dotted name (`methods.l2.trials`), as plain data.

    Those of a layout are `data.LAYOUT.KEY`.
    """
    found: Plain = {}
    for section in SECTIONS:
        found |= _of(type(Sweep.model_fields[section].get_default()), section)
    for name, layout in DATASETS.items():
        found |= _of(layout.Options, f"data.{name}")
    for name, method in METHODS.items():
        if asks(method):
            continue
        settings = settings_of(method).model_validate({})  # some defaults follow from others
        found |= {f"methods.{name}.{key}": _plain(getattr(settings, key)) for key in type(settings).model_fields}
    return found


def with_kept_defaults(content: Plain, old: Mapping[str, Any], then: Plain, now: Plain) -> tuple[Plain, list[str]]:
    """A sweep file's content with the defaults of the time when its folder was started, where today's are others.

    Args:
        content: of the sweep file, which nobody has checked yet.
        old: the resolved sweep in the folder.
        then, now: the defaults of that time and today's.

    Returns:
        The content, and a line for each default that was kept.
    """
    lines = []
    for key, value in (BEFORE | then).items():
        place = _place(key, old)
        if key not in now or now[key] == value or place is None:
            continue
        was = _at(old, place)
        if (was == value or (was is None and key in BEFORE)) and not _is_given(content, place):
            content = _with(content, place, value)
            name = ".".join(place)
            lines.append(f"{name} stays {value}, the default when this folder was started; today's is {now[key]}")
    return content, lines


def _of(section: type[BaseModel], prefix: str) -> Plain:
    return {
        f"{prefix}.{name}": _plain(field.get_default(call_default_factory=True))
        for name, field in section.model_fields.items()
        if not field.is_required()
    }


def _plain(value: Any) -> Any:
    return value.as_yaml() if isinstance(value, Constant | Range | OneOf) else to_jsonable_python(value)


def _place(key: str, old: Mapping[str, Any]) -> list[str] | None:
    """Where a default stands in a sweep file; None if it is another layout's."""
    section, *rest = key.split(".")
    if section != "data":
        return [section, *rest]
    layout, name = rest
    return ["data", name] if (old.get("data") or {}).get("layout") == layout else None


def _at(content: Any, place: list[str]) -> Any:
    for name in place:
        content = content.get(name) if isinstance(content, Mapping) else None
    return content


def _is_given(content: Plain, place: list[str]) -> bool:
    """Whether the file says it, or leaves out the method that it is of; `train.lr` is the `lr` of every method."""
    if place[0] == "methods":
        methods = content.get("methods")
        if methods and place[1] not in methods:
            return True
        if place[2] == "lr" and _at(content, ["train", "lr"]) is not None:
            return True
    return _at(content, place) is not None


def _with(content: Plain, place: list[str], value: Any) -> Plain:
    name, *rest = place
    if not rest:
        return content | {name: value}
    inner = content.get(name)
    if isinstance(inner, list | tuple):  # methods: [full, l2]
        inner = dict.fromkeys(inner)
    return content | {name: _with(inner if isinstance(inner, dict) else {}, rest, value)}
