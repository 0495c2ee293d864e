"""Changes of a sweep file since trials ran by it: what is refused, and what is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fpray.config import Sweep
from fpray.console import first_of
from fpray.errors import UserError
from fpray.records import Record
from fpray.space import Constant, Value

FIXED = ("data", "model", "train")
"""The sections that decide what a record means. The models may change as far as `settling` says."""
_FREE = "lr accumulate gradient_checkpointing compile deterministic validate_every checkpoint_seconds alphas"
FREE = {f"train.{key}" for key in _FREE.split()}
"""The keys that may change in them: the range of `lr` is searched, and the others change neither
a step nor what a trial gives in the end."""


def fixed_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The differences that no record of the old sweep survives, as `train.epochs was 10, is 3`."""
    return [line for section in FIXED for line in _differences(section, old.get(section), new[section])]


def search_changes(old: Mapping[str, Any], new: Mapping[str, Any], records: Sequence[Record]) -> list[str]:
    """What has changed in the search since trials ran, a line each; none where no trial has.

    Args:
        old, new: resolved sweeps as plain data.
        records: of the trials there.
    """
    if not records:
        return []
    lines = _differences("search", old.get("search"), new["search"])
    before, now = old.get("methods") or {}, new["methods"]
    for name in [*before, *(name for name in now if name not in before)]:
        ran = [record for record in records if record.trial.method == name and record.status != "failed"]
        if name not in now:
            lines.append(f"the method {name} is no longer there{_left_out(ran)}")
        elif name not in before:
            lines.append(f"the method {name} is new")
        else:
            lines += _method_changes(name, before[name] or {}, now[name], ran)
    return lines


def refuse_contradictions(sweep: Sweep, old: Mapping[str, Any], records: Sequence[Record]) -> None:
    """Refuse a new constant that the finished trials contradict, each of which ran with another value.

    Raises:
        UserError: for the first one.
    """
    for name, settings in sweep.methods.items():
        before = (old.get("methods") or {}).get(name) or {}
        finished = [r for r in records if r.trial.method == name and r.status == "finished"]
        for key, dimension in settings.space().items():
            if not isinstance(dimension, Constant) or before.get(key) == dimension.as_yaml():
                continue
            ran_with = [record.trial.params[key] for record in finished if key in record.trial.params]
            if ran_with and dimension.value not in ran_with:
                values = first_of([text_of(value) for value in dict.fromkeys(ran_with)], 3)
                raise UserError(
                    f"{name}.{key} is {text_of(dimension.value)}, but {_trials(finished)} ran with {values}; give a "
                    "range or choice that holds that too, or the sweep another name"
                )


def text_of(dimension: Any) -> str:
    """A search dimension or a list of names in plain data, in words: `log [0.0001, 0.002]`."""
    if isinstance(dimension, Mapping) and len(dimension) == 1:
        (kind, values) = next(iter(dimension.items()))
        return f"{kind} [{', '.join(map(_short, values))}]"
    return ", ".join(map(_short, dimension)) if isinstance(dimension, list) else _short(dimension)


def _method_changes(
    name: str, before: Mapping[str, Any], now: Mapping[str, Any], ran: Sequence[Record]
) -> Iterator[str]:
    for key, value in now.items():
        was = before.get(key)
        if key == "resources" or key not in before or was == value:
            continue
        change = f"{name}.{key} was {text_of(was)}, is {text_of(value)}"
        if key == "trials":
            yield change + _left_out([record for record in ran if record.trial.number >= value])
        elif ran:
            yield f"{change}: {_trials(ran)} {'keeps its own' if len(ran) == 1 else 'keep theirs'}"
        else:
            yield change


def _left_out(records: Sequence[Record]) -> str:
    return f"; left out of tables and report: {first_of([r.trial.id for r in records], 5)}" if records else ""


def _trials(records: Sequence[Record]) -> str:
    """`the 4 finished trials`; `begun` where one of them has not finished."""
    how = "finished" if all(record.status == "finished" for record in records) else "begun"
    return f"the {len(records)} {how} trials" if len(records) > 1 else f"the {how} trial {records[0].trial.id}"


def _differences(key: str, old: Any, new: Any) -> list[str]:
    if key in FREE or old == new:
        return []
    if isinstance(old, dict) and isinstance(new, dict):
        return [line for k in sorted(old | new) for line in _differences(f"{key}.{k}", old.get(k), new.get(k))]
    return [f"{key} was {old}, is {new}"]


def _short(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
